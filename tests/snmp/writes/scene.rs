//! A bridge that chooses the events of relays over SNMP, and a user who has it done.

use lantime2mqtt::simulator::{
    ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions, SimulatedDevice, SnmpOptions,
};
use serde_json::{Value, json};

use crate::support::clients::Clients;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::Program;
use crate::support::site::{Entry, Site};
use crate::support::{Seen, Watcher};

pub(super) const A: &str = "lantime/sim-1/io4/relay/a";
pub(super) const C: &str = "lantime/sim-1/io4/relay/c";
/// A bridge with one device, whose relays A and C are on notification.
pub(super) struct Scene {
    fleet: Fleet,
    clients: Clients,
    pub(super) watcher: Watcher,
    _broker: Mosquitto,
    pub(super) bridge: Program,
    pub(super) site: Site,
}

pub(super) async fn fleet(snmp: Option<SnmpOptions>) -> Fleet {
    let options = FleetOptions {
        devices: 1,
        kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V16)],
        snmp,
        ..FleetOptions::default()
    };
    Fleet::start(options).await.expect("free ports on the loopback")
}

pub(super) fn with_community(entry: Entry) -> Entry {
    entry
        .with("snmp.community", "public")
        .with("snmp.write_community", "private")
        .with("snmp.timeout", "500ms")
}

pub(super) fn with_user(entry: Entry, name: &str, auth_password: &str, priv_password: &str) -> Entry {
    entry
        .with("snmp.user.name", name)
        .with("snmp.user.auth_password", auth_password)
        .with("snmp.user.priv_password", priv_password)
        .with("snmp.timeout", "500ms")
        .with("snmp.retries", 1)
}

impl Scene {
    pub(super) async fn start(fleet: Fleet, entry: impl FnOnce(&SimulatedDevice) -> Entry) -> Scene {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        let watcher = Watcher::connect(broker.address()).await;
        let entry = entry(&fleet.devices()[0]);
        let site = Site::new(broker.address(), &[entry]);
        let bridge = site.start();
        let mut scene = Scene {
            fleet,
            clients,
            watcher,
            _broker: broker,
            bridge,
            site,
        };
        scene.takes_commands().await;
        scene
            .until("it is online", |seen| seen.is("lantime/sim-1/state", "online"))
            .await;
        scene
    }

    /// Waits until the bridge that runs now takes commands.
    pub(super) async fn takes_commands(&mut self) {
        self.bridge
            .until("commands are taken", |output| {
                output.stderr.contains("the broker delivers commands")
            })
            .await;
    }

    pub(super) fn device(&self) -> &SimulatedDevice {
        &self.fleet.devices()[0]
    }

    pub(super) async fn until(&mut self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        self.watcher.until(what, condition).await
    }

    /// Sends a command for a relay; how many replies there were before.
    pub(super) async fn begin(&self, relay: &str, payload: &str) -> usize {
        let before = replies(&self.watcher.now(), relay).len();
        self.clients
            .publish(&format!("{relay}/events/set"), payload, &[])
            .await;
        before
    }

    pub(super) async fn reply(&mut self, relay: &str, before: usize) -> Value {
        let seen = self
            .until("a reply", |seen| replies(seen, relay).len() > before)
            .await;
        replies(&seen, relay).remove(before)
    }

    pub(super) async fn send(&mut self, relay: &str, payload: &str) -> Value {
        let before = self.begin(relay, payload).await;
        self.reply(relay, before).await
    }

    /// Sends a command that is refused: one reply and one dead letter, which say the same.
    pub(super) async fn refused(&mut self, relay: &str, payload: &str, kind: &str) -> Value {
        let before = refusals(&self.watcher.now()).len();
        let reply = self.send(relay, payload).await;
        assert!(
            reply["ok"] == false && reply["error"]["kind"] == kind,
            "{kind}: {reply}"
        );
        let seen = self
            .until("its letter", |seen| refusals(seen).len() > before)
            .await;
        let letter = refusals(&seen).remove(before);
        assert_eq!(
            (&letter["error"], &letter["id"]),
            (&reply["error"], &reply["dead_letter"])
        );
        // Another command, after it: all that comes of this one has come.
        self.refresh().await;
        let seen = self.watcher.now();
        assert_eq!(refusals(&seen).len(), before + 1, "{:#?}", refusals(&seen));
        reply["error"].clone()
    }

    /// Has the device polled.
    pub(super) async fn refresh(&mut self) {
        let count = |seen: &Seen| all_at(seen, "lantime/sim-1/refresh/reply").len();
        let before = count(&self.watcher.now());
        self.clients.publish("lantime/sim-1/refresh", "", &[]).await;
        self.until("a poll", |seen| count(seen) > before).await;
    }

    /// Waits until these events are retained for both relays.
    pub(super) async fn retained(&mut self, events: &[&str], confirmed: bool) {
        let is_so = |seen: &Seen, relay: &str| {
            let chosen = json_at(seen, &format!("{relay}/events"));
            chosen["events"] == json!(events) && chosen["confirmed"] == confirmed && chosen["via"] == "snmp"
        };
        self.until(&format!("{events:?} {confirmed}"), |seen| {
            is_so(seen, A) && is_so(seen, C)
        })
        .await;
    }
}

pub(super) fn json_at(seen: &Seen, topic: &str) -> Value {
    let payload = seen.topics.get(topic).map_or("null", String::as_str);
    serde_json::from_str(payload).expect("state is JSON")
}

pub(super) fn all_at(seen: &Seen, topic: &str) -> Vec<Value> {
    let log = seen.log.iter().filter(|(at, _)| at == topic);
    log.map(|(_, payload)| serde_json::from_str(payload).expect("a record is JSON"))
        .collect()
}

pub(super) fn replies(seen: &Seen, relay: &str) -> Vec<Value> {
    all_at(seen, &format!("{relay}/events/set/reply"))
}

pub(super) fn letters(seen: &Seen) -> Vec<Value> {
    all_at(seen, "lantime/dead-letter/sim-1")
}

/// The dead letters of commands.
pub(super) fn refusals(seen: &Seen) -> Vec<Value> {
    let letters = letters(seen).into_iter();
    letters.filter(|letter| !letter["origin"].is_null()).collect()
}
