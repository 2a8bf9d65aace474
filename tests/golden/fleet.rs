//! The devices: those of the demo, and one for each way in which they can be configured or fail.

use lantime2mqtt::simulator::{ApiGeneration, Chassis, FleetOptions, SimulatedDevice, SnmpOptions};

use crate::support::scene::Setup;
use crate::support::site::Entry;

/// How many there are.
pub(crate) const DEVICES: usize = 7;

/// Devices `sim-1` to `sim-3` are of the kinds of the demo.
pub(crate) fn setup() -> Setup<'static> {
    let kinds: [(Chassis, ApiGeneration); DEVICES] = [
        (Chassis::M3000, ApiGeneration::V20),
        (Chassis::M500, ApiGeneration::V16),
        (Chassis::M3000, ApiGeneration::V10),
        (Chassis::M500, ApiGeneration::V10),
        (Chassis::M3000, ApiGeneration::V16),
        (Chassis::M500, ApiGeneration::V20),
        (Chassis::M3000, ApiGeneration::V16),
    ];
    let options = |mut options: FleetOptions| {
        options.kinds[DEVICES - 1].reports_relays = false;
        let snmp = Some(SnmpOptions::default());
        FleetOptions { snmp, ..options }
    };
    Setup::of(&kinds).options(options).entries(entry)
}

/// What the configuration says of each.
fn entry(device: &SimulatedDevice) -> Entry {
    // So seldom that each poll after the first is one that a step brings about.
    let entry = Entry::of(device).with("poll", "1h");
    let agent = device.snmp_address().expect("it has an agent").to_string();
    match device.id() {
        "sim-1" => entry
            .listed(device)
            .with("label", "Control room, left")
            .with("site", "Substation North")
            .with("allow_unverified_writes", true),
        "sim-2" | "sim-3" => entry.listed(device),
        // Found offline after one failed poll.
        "sim-4" => entry.with("poll", "1s").with("offline_after", 1),
        // The events of its relays are selected over SNMP.
        "sim-5" => entry
            .listed(device)
            .with("snmp.address", agent)
            .with("snmp.community", "public")
            .with("snmp.write_community", "private"),
        // Read over SNMP after one failed poll.
        "sim-6" => entry
            .listed(device)
            .with("poll", "1s")
            .with("offline_after", 1)
            .with("snmp.address", agent)
            .with("snmp.community", "public")
            .with("snmp.read", "fallback")
            .with("snmp.events", "rest"),
        // Stale after failed polls, never offline.
        _ => entry.with("poll", "1s").with("offline_after", 1000),
    }
}
