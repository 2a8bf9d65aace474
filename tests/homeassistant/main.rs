//! A real Home Assistant discovers the bridge and its devices, shows faults, and reaches the devices.
//!
//! It publishes its states (`states/{domain}/{entity}/state`), and calls what is asked for at `test/call`.

#![allow(clippy::unwrap_used)]

mod hass;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lantime2mqtt::simulator::{Action, ApiGeneration, Clock, Fault, Fleet, SimulatedDevice};
use serde_json::{Value, json};

use hass::{Hass, Release};
use support::clients::{Clients, Message, Subscriber};
use support::mosquitto::Mosquitto;
use support::program::Program;
use support::scene::{Devices, Setup, Stage};
use support::site::{Entry, Site};

const RELAY: &str = "binary_sensor/sim_1_io3_relay_a";
/// A switch at each bridge, with the topic of the selection.
const SWITCHES: [(&str, &str); 2] = [
    (
        "switch/sim_1_io4_relay_a_follows_antenna_faulty",
        "lantime/sim-1/io4/relay/a/events",
    ),
    (
        "switch/sim_2_io4_relay_a_follows_antenna_faulty",
        "plant/lantime/sim-2/io4/relay/a/events/events",
    ),
];

/// Two bridges at one broker, with a device each: one as it comes, and one with another prefix and a topic for each
/// field, whose device is asked when somebody wants it, and hardly ever else.
fn sites(broker: SocketAddr, fleet: &Fleet) -> [Site; 2] {
    let [first, second] = fleet.devices() else {
        panic!("two devices");
    };
    let usual = Site::new(broker, &[Entry::writable(first)]).with("homeassistant.enabled", true);
    let scalar = Site::new(broker, &[Entry::writable(second).with("poll", "1h")])
        .with("homeassistant.enabled", true)
        .with("bridge.id", "plant")
        .with("mqtt.prefix", "plant/lantime")
        .with("mqtt.layout", "scalar");
    [usual, scalar]
}

struct Home {
    hass: Hass,
    bridges: [Program; 2],
    sites: [Site; 2],
    fleet: Devices,
    clients: Clients,
    subscriber: Subscriber,
    /// What came before is not looked at.
    from: usize,
    _broker: Mosquitto,
}

impl Home {
    async fn start(release: Release) -> Home {
        let Stage { fleet, broker, .. } = Setup::redundant(&[ApiGeneration::V20; 2]).stage().await;
        let clients = Clients::of(broker.address());
        let sites = sites(broker.address(), &fleet);
        let mut home = Home {
            hass: Hass::new(release, broker.address()),
            bridges: sites.each_ref().map(Site::start),
            sites,
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
        self.clients.publish("test/states", "", &[]).await;
        // Before anything changes: a state as it was must not come after what became of it.
        self.until("the states as they are", |home| {
            home.is("test/states/published", "yes")
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

    /// Waits until the relay at that topic follows the event or not, as the device says, and the switch shows it.
    async fn follows(&mut self, (switch, topic): (&str, &str), is_followed: bool) {
        self.until(&format!("{switch}: {is_followed}"), |seen| {
            let selected = seen.last(topic).map_or("", |message| &message.payload);
            let state = if is_followed { "on" } else { "off" };
            selected.contains("antenna-faulty") == is_followed && seen.state(switch) == state
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
async fn the_oldest_home_assistant_shows_the_devices_and_reaches_them() {
    shows_the_devices_and_reaches_them(Release::Oldest).await;
}

#[tokio::test]
async fn the_newest_home_assistant_shows_the_devices_and_reaches_them() {
    shows_the_devices_and_reaches_them(Release::Newest).await;
}

/// One after the other: starting Home Assistant takes longer than all else.
async fn shows_the_devices_and_reaches_them(release: Release) {
    let mut home = Home::start(release).await;
    home.until("every entity appears", |seen| {
        seen.is_all_there() && seen.state(RELAY) == "off" && seen.attribute(RELAY, "driven_by") == "clk1"
    })
    .await;
    a_fault_arrives_with_its_cause(&mut home).await;
    a_button_has_a_device_polled(&mut home).await;
    an_unreachable_device_is_unavailable_but_for_why(&mut home).await;
    nothing_is_available_without_the_bridges(&mut home).await;
    all_is_back_after_a_restart_and_switches_that_were_enabled_reach_the_device(&mut home).await;
    switches_that_were_enabled_stay_so_when_the_bridges_start_again(&mut home).await;
    let mut home = what_is_no_longer_to_be_discovered_goes(home).await;
    home.hass.stop().await;
    assert_eq!(home.hass.problems(), [""; 0]);
    modules_are_below_lantimes_and_these_below_bridges(&home.hass.devices());
}

async fn a_fault_arrives_with_its_cause(home: &mut Home) {
    home.device(1).apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    home.until("the fault", |seen| {
        seen.state(RELAY) == "on"
            && seen.attribute(RELAY, "cause") == "clock-not-sync"
            && seen.state("binary_sensor/sim_1_io3_clock_1") == "on"
    })
    .await;
}

async fn a_button_has_a_device_polled(home: &mut Home) {
    home.device(2).apply(&Action::LoseSync(Clock::Clk1)).unwrap();
    let before = home.device(2).counters().documents;
    home.call("button.press", "button/sim_2_refresh").await;
    home.until("the second device is polled", |seen| {
        seen.state("binary_sensor/sim_2_io3_relay_a") == "on"
    })
    .await;
    assert_eq!(home.device(2).counters().documents, before + 1);
}

async fn an_unreachable_device_is_unavailable_but_for_why(home: &mut Home) {
    home.device(1).set_fault(Some(Fault::Unavailable));
    home.until("the relay is unavailable, and why is shown", |seen| {
        seen.state(RELAY) == "unavailable"
            && seen.state("binary_sensor/sim_1_connection") == "off"
            && seen.state("sensor/sim_1_error") == "http-status"
            && seen.attribute("sensor/sim_1_error", "operation") == "poll"
    })
    .await;
    home.device(1).set_fault(None);
    home.until("the relay is back, and the error cleared", |seen| {
        seen.state(RELAY) == "on" && seen.state("sensor/sim_1_error") == "none"
    })
    .await;
}

async fn nothing_is_available_without_the_bridges(home: &mut Home) {
    home.bridges.iter().for_each(|bridge| bridge.signal("KILL"));
    home.until("all are unavailable", |seen| {
        let is_off =
            |bridge: &&str| seen.state(&format!("binary_sensor/lantime2mqtt_{bridge}_connection")) == "off";
        seen.states().values().all(|state| *state == "unavailable") && ["test", "plant"].iter().all(is_off)
    })
    .await;
    home.bridges = home.sites.each_ref().map(Site::start);
    home.until("all is back with the bridges", |seen| seen.is_all_there())
        .await;
}

async fn all_is_back_after_a_restart_and_switches_that_were_enabled_reach_the_device(home: &mut Home) {
    home.hass.stop().await;
    for (switch, _) in SWITCHES {
        home.hass.enable(&switch.replace('/', "."));
    }
    // An entity that it discovers on a device in an area has the id that the bridge gives it, and not one of the area.
    home.hass.put_into_area("sim-1 io3", "Rack");
    home.hass.forget(&RELAY.replace('/', "."));
    home.start_hass().await;
    home.until("all is back, and the switches too", |seen| {
        let are_off = SWITCHES.iter().all(|(switch, _)| seen.state(switch) == "off");
        seen.is_all_there() && seen.state(RELAY) == "on" && are_off
    })
    .await;
    for (number, switch) in (1..).zip(SWITCHES) {
        home.call("switch.turn_on", switch.0).await;
        home.follows(switch, true).await;
        assert_eq!(home.device(number).counters().configuration_writes, 1);
        home.call("switch.turn_off", switch.0).await;
        home.follows(switch, false).await;
        assert_eq!(home.device(number).counters().configuration_writes, 2);
    }
}

/// What an earlier run of the bridge has published stays until the device is seen, and then is as it was: an entity that
/// was removed for a moment would be a new one, and disabled.
async fn switches_that_were_enabled_stay_so_when_the_bridges_start_again(home: &mut Home) {
    for bridge in &mut home.bridges {
        bridge.signal("TERM");
        bridge.ended(hass::PATIENCE).await;
    }
    let are = |seen: &Seen, state| SWITCHES.iter().all(|(switch, _)| seen.state(switch) == state);
    home.until("the switches are unavailable", |seen| are(seen, "unavailable"))
        .await;
    home.bridges = home.sites.each_ref().map(Site::start);
    home.until("the switches are back", |seen| are(seen, "off")).await;
    for switch in SWITCHES {
        home.call("switch.turn_on", switch.0).await;
        home.follows(switch, true).await;
    }
    let messages = home.subscriber.now();
    let since_its_start = messages[home.from..].iter();
    let removed: Vec<_> = since_its_start
        .map(|message| message.topic.as_str())
        .filter(|topic| topic.starts_with("test/removed/"))
        .collect();
    assert_eq!(removed, [""; 0]);
}

async fn what_is_no_longer_to_be_discovered_goes(mut home: Home) -> Home {
    let [usual, scalar] = home.sites;
    let [bridge, other] = home.bridges;
    other.stop("TERM").await;
    let scalar = scalar.with("homeassistant.enabled", false);
    home.bridges = [bridge, scalar.start()];
    home.sites = [usual, scalar];
    home.until("its entities are removed", |seen| {
        seen.is("test/removed/sensor.sim_2_firmware", "yes")
            && seen.is("test/removed/binary_sensor.sim_2_io3_relay_a", "yes")
            && seen.is("test/removed/binary_sensor.lantime2mqtt_plant_connection", "yes")
    })
    .await;
    home
}

/// Module below LANTIME below bridge; the removed device is no longer there.
fn modules_are_below_lantimes_and_these_below_bridges(devices: &[Value]) {
    let named = |name: &str| devices.iter().find(|device| device["name"] == name);
    let [bridge, lantime, module] = ["lantime2mqtt test", "sim-1", "sim-1 io3"].map(named);
    let [bridge, lantime, module] = [bridge, lantime, module].map(|device| device.expect("it is known"));
    assert_eq!(lantime["via_device_id"], bridge["id"]);
    assert_eq!(module["via_device_id"], lantime["id"]);
    let said = |device: &Value| ["manufacturer", "model"].map(|key| device[key].clone());
    assert_eq!(said(lantime), ["Meinberg", "M3000"]);
    assert_eq!(said(module), ["Meinberg", "rel1000"]);
    assert_eq!(module["area_id"], "Rack");
    assert!(
        lantime["configuration_url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1")
    );
    assert!(named("sim-2").is_none(), "{devices:#?}");
}
