//! A real Home Assistant discovers the bridge and its devices, shows faults, and reaches the devices.
//!
//! It tells its states on the broker (`states/{domain}/{entity}/state`), and calls what is asked for at `test/call`.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod hass;

use std::collections::BTreeMap;

use lantime2mqtt::simulator::{
    Action, ApiGeneration, Chassis, Clock, DeviceKind, Fleet, FleetOptions, SimulatedDevice,
};
use serde_json::{Value, json};

use common::clients::{Clients, Message, Subscriber};
use common::mosquitto::Mosquitto;
use common::program::Program;
use common::site::{Entry, Site};
use hass::Hass;

const RELAY: &str = "binary_sensor/sim_1_io3_relay_a";
const SWITCH: &str = "switch/sim_1_io4_relay_a_follows_antenna_faulty";

/// The second device is asked when somebody wants it, and hardly ever else.
fn entries(fleet: &Fleet) -> Vec<Entry> {
    let entry = |device: &SimulatedDevice| {
        Entry::of(device)
            .listed(device)
            .with("allow_unverified_writes", true)
    };
    let [first, second] = fleet.devices() else {
        panic!("two devices");
    };
    vec![entry(first), entry(second).with("poll", "1h")]
}

struct Home {
    hass: Hass,
    bridge: Program,
    site: Site,
    fleet: Fleet,
    clients: Clients,
    subscriber: Subscriber,
    /// What came before is not looked at.
    from: usize,
    _broker: Mosquitto,
}

impl Home {
    async fn start() -> Home {
        let broker = Mosquitto::start();
        let clients = Clients::of(broker.address());
        let fleet = Fleet::start(FleetOptions {
            devices: 2,
            kinds: vec![DeviceKind::new(Chassis::M3000, ApiGeneration::V20)],
            ..FleetOptions::default()
        });
        let fleet = fleet.await.expect("free ports on the loopback");
        let site = Site::new(broker.address(), &entries(&fleet)).with("homeassistant.enabled", true);
        let mut home = Home {
            hass: Hass::new(broker.address()),
            bridge: site.start(),
            site,
            fleet,
            clients,
            subscriber: clients.subscribe(&["#"]).await,
            from: 0,
            _broker: broker,
        };
        home.start_hass().await;
        home
    }

    /// From here on only what comes from now on counts.
    async fn start_hass(&mut self) {
        self.from = self.subscriber.now().len();
        self.hass.start();
        self.until("Home Assistant runs", |home| {
            home.is("homeassistant/status", "online")
        })
        .await;
    }

    async fn until(&mut self, what: &str, condition: impl Fn(&Seen<'_>) -> bool) {
        let from = self.from;
        let seen = self.subscriber.within(hass::PATIENCE, what, |messages| {
            condition(&Seen(&messages[from..]))
        });
        seen.await;
    }

    async fn call(&self, service: &str, entity: &str) {
        let entity_id = entity.replace('/', ".");
        let call = json!({ "service": service, "entity_id": entity_id }).to_string();
        self.clients.publish("test/call", call, &[]).await;
    }

    fn device(&self, number: usize) -> &SimulatedDevice {
        &self.fleet.devices()[number - 1]
    }

    async fn follows(&mut self, is_followed: bool) {
        self.until("the relay follows the event, or not", |seen| {
            let chosen = seen.json("lantime/sim-1/io4/relay/a/events");
            let events = chosen["events"].as_array().cloned().unwrap_or_default();
            let is_chosen = events.contains(&json!("antenna-faulty"));
            let state = if is_followed { "on" } else { "off" };
            chosen["confirmed"] == true && is_chosen == is_followed && seen.state(SWITCH) == state
        })
        .await;
    }
}

/// What was published, in order.
struct Seen<'s>(&'s [Message]);

impl Seen<'_> {
    fn last(&self, topic: &str) -> Option<&Message> {
        self.0.iter().rev().find(|message| message.topic == topic)
    }

    fn is(&self, topic: &str, payload: &str) -> bool {
        self.last(topic).is_some_and(|message| message.payload == payload)
    }

    fn json(&self, topic: &str) -> Value {
        self.last(topic).map(Message::json).unwrap_or_default()
    }

    /// The state of an entity; empty for none.
    fn state(&self, entity: &str) -> &str {
        let last = self.last(&format!("states/{entity}/state"));
        last.map_or("", |message| &message.payload)
    }

    fn attribute(&self, entity: &str, name: &str) -> Value {
        self.json(&format!("states/{entity}/{name}"))
    }

    /// The states of all entities of the devices.
    fn states(&self) -> BTreeMap<&str, &str> {
        let entities = self.0.iter().filter_map(|message| {
            let entity = message.topic.strip_prefix("states/")?.strip_suffix("/state")?;
            let (_, name) = entity.split_once('/')?;
            name.starts_with("sim_").then_some(entity)
        });
        entities.map(|entity| (entity, self.state(entity))).collect()
    }

    /// Whether every entity is there with a value, but for those that have none: a button that nobody has pressed, and
    /// an error that has not been.
    fn is_all_there(&self) -> bool {
        let states = self.states();
        let has_value = |(entity, state): (&&str, &&str)| match *state {
            "unavailable" => false,
            "unknown" => entity.starts_with("button/") || entity.ends_with("_error"),
            _ => true,
        };
        states.len() >= 42 && states.iter().all(has_value)
    }
}

#[tokio::test]
async fn home_assistant_shows_the_devices_and_reaches_them() {
    let mut home = Home::start().await;
    home.until("every entity appears", |seen| seen.is_all_there())
        .await;
    home.until("the relay stands well", |seen| {
        seen.state(RELAY) == "off" && seen.attribute(RELAY, "driven_by") == "clk1"
    })
    .await;

    let lose = Action::LoseSync(Clock::Clk1);
    home.device(1).apply(&lose).unwrap();
    home.until("the fault arrives, with its cause", |seen| {
        seen.state(RELAY) == "on"
            && seen.attribute(RELAY, "cause") == "clock-not-sync"
            && seen.state("binary_sensor/sim_1_io3_clock_1") == "on"
    })
    .await;

    home.device(2).apply(&lose).unwrap();
    let before = home.device(2).counters().documents;
    home.call("button.press", "button/sim_2_refresh").await;
    home.until("the button has the second device polled", |seen| {
        seen.state("binary_sensor/sim_2_io3_relay_a") == "on"
    })
    .await;
    assert_eq!(home.device(2).counters().documents, before + 1);

    home.bridge.signal("KILL");
    home.until("nothing is available without the bridge", |seen| {
        let states = seen.states();
        states.values().all(|state| *state == "unavailable")
            && seen.state("binary_sensor/lantime2mqtt_test_connection") == "off"
    })
    .await;
    home.bridge = home.site.start();
    home.until("all is back with the bridge", |seen| seen.is_all_there())
        .await;

    home.hass.stop().await;
    home.hass.enable(&SWITCH.replace('/', "."));
    home.start_hass().await;
    home.until("all is back after a restart, and the switch too", |seen| {
        seen.is_all_there() && seen.state(RELAY) == "on" && seen.state(SWITCH) == "off"
    })
    .await;
    home.call("switch.turn_on", SWITCH).await;
    home.follows(true).await;
    assert_eq!(home.device(1).counters().configuration_writes, 1);
    home.call("switch.turn_off", SWITCH).await;
    home.follows(false).await;

    home.site = home.site.devices(&entries(&home.fleet)[..1]);
    home.bridge.signal("HUP");
    home.until("the second device's entities are gone", |seen| {
        seen.is("test/removed/sensor.sim_2_firmware", "yes")
            && seen.is("test/removed/binary_sensor.sim_2_io3_relay_a", "yes")
    })
    .await;
    home.hass.stop().await;
    below_each_other(&home.hass.devices());
}

/// Module below LANTIME below bridge; the removed device is gone.
fn below_each_other(devices: &[Value]) {
    let named = |name: &str| devices.iter().find(|device| device["name"] == name);
    let [bridge, lantime, module] = ["lantime2mqtt test", "sim-1", "sim-1 io3"].map(named);
    let [bridge, lantime, module] = [bridge, lantime, module].map(|device| device.expect("it is known"));
    assert_eq!(lantime["via_device_id"], bridge["id"]);
    assert_eq!(module["via_device_id"], lantime["id"]);
    let said = |device: &Value| ["manufacturer", "model"].map(|key| device[key].clone());
    assert_eq!(said(lantime), ["Meinberg", "M3000"]);
    assert_eq!(said(module), ["Meinberg", "rel1000"]);
    assert!(
        lantime["configuration_url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1")
    );
    assert!(named("sim-2").is_none(), "{devices:#?}");
}
