//! A bridge that chooses the events of relays over SNMP, and a user who has it done.

use lantime2mqtt::simulator::{ApiGeneration, FleetOptions, SnmpOptions};
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::Seen;
use crate::support::clients::Clients;
use crate::support::scene::Setup;
use crate::support::site::Entry;

pub(super) const A: &str = "sim-1/io4/relay/a";
pub(super) const C: &str = "sim-1/io4/relay/c";

/// A device whose relays A and C are on notification.
pub(super) fn setup<'a>(snmp: Option<SnmpOptions>) -> Setup<'a> {
    let options = |options| FleetOptions { snmp, ..options };
    Setup::redundant(&[ApiGeneration::V16]).options(options)
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
    /// A bridge that takes commands and has seen its device.
    pub(super) async fn writing(setup: Setup<'_>) -> Scene {
        let mut scene = setup.start().await;
        scene.site.takes_commands().await;
        scene.until("it is online", |seen| seen.is_online("sim-1")).await;
        scene
    }

    async fn publish(&self, topic: &str, payload: &str) {
        let clients = Clients::of(self.broker.address());
        clients.publish(&format!("lantime/{topic}"), payload, &[]).await;
    }

    /// Sends a command for a relay; how many replies there were before.
    pub(super) async fn begin(&self, relay: &str, payload: &str) -> usize {
        let before = replies(&self.client.now(), relay).len();
        self.publish(&format!("{relay}/events/set"), payload).await;
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
        let before = refusals(&self.client.now()).len();
        let reply = self.send(relay, payload).await;
        assert!(
            reply["ok"] == false && reply["error"]["kind"] == kind,
            "{kind}: {reply}"
        );
        let seen = self
            .until("its dead letter", |seen| refusals(seen).len() > before)
            .await;
        let dead_letter = refusals(&seen).remove(before);
        assert_eq!(
            (&dead_letter["error"], &dead_letter["id"]),
            (&reply["error"], &reply["dead_letter"])
        );
        // Another command, after it: all that comes of this one has come.
        self.refresh().await;
        let seen = self.client.now();
        assert_eq!(refusals(&seen).len(), before + 1, "{:#?}", refusals(&seen));
        reply["error"].clone()
    }

    /// Has the device polled.
    pub(super) async fn refresh(&mut self) {
        let count = |seen: &Seen| seen.records("sim-1/refresh/reply").len();
        let before = count(&self.client.now());
        self.publish("sim-1/refresh", "").await;
        self.until("a poll", |seen| count(seen) > before).await;
    }

    /// Waits until these events are retained for both relays.
    pub(super) async fn retained(&mut self, events: &[&str], confirmed: bool) {
        let is_so = |seen: &Seen, relay: &str| {
            let selected = seen.json(&format!("{relay}/events"));
            selected["events"] == json!(events)
                && selected["confirmed"] == confirmed
                && selected["via"] == "snmp"
        };
        self.until(&format!("{events:?} {confirmed}"), |seen| {
            is_so(seen, A) && is_so(seen, C)
        })
        .await;
    }
}

pub(super) fn replies(seen: &Seen, relay: &str) -> Vec<Value> {
    seen.records(&format!("{relay}/events/set/reply"))
}

pub(super) fn dead_letters(seen: &Seen) -> Vec<Value> {
    seen.records("dead-letter/sim-1")
}

/// The dead letters of commands.
pub(super) fn refusals(seen: &Seen) -> Vec<Value> {
    let mut refusals = dead_letters(seen);
    refusals.retain(|dead_letter| !dead_letter["origin"].is_null());
    refusals
}
