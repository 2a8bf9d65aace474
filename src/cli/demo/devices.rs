//! The devices of a demo: three whose story is shown, and as many more as were asked for, so that lists have something to
//! show; some of these are in trouble.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::{COMMUNITY, OWN_CONFIG};
use crate::simulator::{
    Action, ActionError, ApiGeneration, Chassis, Clock, DeviceKind, Fault, Fleet, FleetOptions,
    SimulatedDevice, SnmpOptions, TrapReceiver, TrapWay,
};

/// Those that the lively scenario and the history move.
pub(super) const OF_STORY: usize = 3;
/// The most that are simulated.
pub(super) const MOST: u16 = 1000;

/// What the first devices are called, and where they are.
const OWN_PLACES: [(&str, &str); OF_STORY] = [
    ("Relay room", "Substation North"),
    ("Protection rack 2", "Substation North"),
    ("Studio 1", "Broadcasting House"),
];
/// What the others are called, before a number, and where they are, in turn.
const PLACES: [(&str, &str); 6] = [
    ("North rack", "Substation North"),
    ("Studio", "Broadcasting House"),
    ("South rack", "Substation South"),
    ("Mast", "Transmitter Hill"),
    ("Desk", "Control Centre"),
    ("Exchange", "Exchange West"),
];
/// Of so many devices beyond the first, one is in trouble in each way.
const TROUBLE_EVERY: usize = 40;
/// Longer than a demo runs.
const FOR_GOOD: Duration = Duration::from_secs(30 * 86_400);

/// The first two report their relays, the third is of a generation of which that is not known: there they are derived; the
/// others likewise, in turn. All of them report their events by informs.
pub(super) fn fleet_options(devices: usize, receivers: &[SocketAddr]) -> FleetOptions {
    let kinds = [
        (Chassis::M3000, ApiGeneration::V20),
        (Chassis::M500, ApiGeneration::V16),
        (Chassis::M3000, ApiGeneration::V10),
    ];
    FleetOptions {
        devices,
        kinds: kinds.map(|(chassis, api)| DeviceKind::new(chassis, api)).to_vec(),
        snmp: Some(SnmpOptions {
            receivers: receivers.iter().copied().map(receiver).collect(),
            ..SnmpOptions::default()
        }),
        ..FleetOptions::default()
    }
}

fn receiver(address: SocketAddr) -> TrapReceiver {
    let way = TrapWay::V2c {
        community: COMMUNITY.to_owned(),
        inform: true,
    };
    TrapReceiver { address, way }
}

/// A configuration of the demo, with how its devices are asked over SNMP, what they are called and where they are.
pub(super) fn table(text: &str) -> anyhow::Result<toml::Table> {
    let mut values: toml::Table = toml::from_str(text).context(OWN_CONFIG)?;
    let devices = values.get_mut("devices").and_then(toml::Value::as_array_mut);
    let devices = devices.into_iter().flatten();
    for (index, device) in devices.filter_map(toml::Value::as_table_mut).enumerate() {
        if let Some(snmp) = device.get_mut("snmp").and_then(toml::Value::as_table_mut) {
            // Over REST these devices distinguish relays, over SNMP none does.
            snmp.insert("events".to_owned(), "rest".into());
            snmp.insert("read".to_owned(), "fallback".into());
        }
        let (label, site) = place(index);
        device.insert("label".to_owned(), label.into());
        device.insert("site".to_owned(), site.into());
    }
    Ok(values)
}

/// Label and site of the device at that place in the fleet.
fn place(index: usize) -> (String, &'static str) {
    match OWN_PLACES.get(index) {
        Some((label, site)) => ((*label).to_owned(), site),
        None => {
            let (name, site) = PLACES[index % PLACES.len()];
            (format!("{name} {}", index / PLACES.len() + 1), site)
        }
    }
}

/// Some of the devices beyond the first get into trouble, each in one of several ways, and stay in it.
pub(super) fn trouble(fleet: &Fleet) -> anyhow::Result<()> {
    for (index, device) in fleet.devices().iter().enumerate().skip(OF_STORY) {
        trouble_of(index, device).with_context(|| format!("trouble of {}", device.id()))?;
    }
    Ok(())
}

fn trouble_of(index: usize, device: &SimulatedDevice) -> Result<(), ActionError> {
    let first_module = device.kind().chassis.relay_modules().first();
    let action = match index % TROUBLE_EVERY {
        5 => Some(Action::LoseSync(Clock::Clk1)),
        10 => first_module.map(|module| Action::PowerOff(module.slot.to_owned())),
        15 => Some(Action::FireEvent("https-certificate-expired".to_owned())),
        _ => None,
    };
    let fault = match index % TROUBLE_EVERY {
        // Neither REST nor SNMP answers.
        23 => Some(Fault::Restart { down: FOR_GOOD }),
        26 => Some(Fault::Hang),
        31 => Some(Fault::Unauthorized),
        _ => None,
    };
    if let Some(action) = action {
        device.apply(&action)?;
    }
    if fault.is_some() {
        device.set_fault(fault);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_of_many_devices_are_in_trouble_but_none_of_the_story() {
        let fleet = Fleet::start(fleet_options(OF_STORY + TROUBLE_EVERY, &[]))
            .await
            .unwrap();
        trouble(&fleet).unwrap();
        fleet.devices()[23].wait_listening(false).await;
        let is_in_trouble = |index: &usize| {
            let device = &fleet.devices()[*index];
            device.fault().is_some() || device.world().generation() > 0 || *index == 23
        };
        let in_trouble: Vec<_> = (0..fleet.devices().len()).filter(is_in_trouble).collect();
        assert_eq!(in_trouble, [5, 10, 15, 23, 26, 31]);
        fleet.stop().await;
    }
}
