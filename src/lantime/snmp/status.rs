//! What a device reports over SNMP: far less than over REST, but enough to know whether its clocks are
//! synchronized, and so the positions of the relays that they drive. Pure; asking is the manager's.

use std::sync::Arc;

use async_snmp::{Oid, Value};

use super::oids::{self, Refclock};
use crate::model::derive::Slots;
use crate::model::snapshot::Module;
use crate::model::{
    Clock, Detail, Details, EventName, EventState, Identity, RelayModule, Signal, Snapshot, Status, Text, Via,
};

/// The event that NTP's state is about.
const NTP_NOT_SYNC: &str = "ntp-not-sync";
/// Longest text of a device that is kept; a limit of ours.
const MAX_TEXT: usize = 256;
const CLOCKS: [(u32, Signal); 2] = [(1, Signal::Clk1), (2, Signal::Clk2)];

/// Everything that is asked for.
pub fn objects() -> Vec<Oid> {
    let columns = [Refclock::Usage, Refclock::State, Refclock::Substate];
    let clocks = CLOCKS
        .iter()
        .flat_map(|(index, _)| columns.map(|column| oids::refclock(column, *index)));
    [oids::firmware(), oids::serial_number(), oids::ntp_state()]
        .into_iter()
        .chain(clocks)
        .collect()
}

/// What a device has reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnmpStatus {
    firmware: Option<Text>,
    serial_number: Option<Text>,
    /// Whether NTP is synchronized.
    ntp: Option<bool>,
    /// The clocks that the chassis has.
    clocks: Vec<Clock>,
}

impl SnmpStatus {
    /// Reads the values of [`objects`]. What is missing or of another type costs its field.
    pub fn read(values: &[(Oid, Value)]) -> SnmpStatus {
        let value = |oid: &Oid| {
            values
                .iter()
                .find(|(other, _)| other == oid)
                .map(|(_, value)| value)
        };
        let text = |oid: &Oid| value(oid).and_then(Value::as_str).and_then(known_text);
        let number = |oid: &Oid| value(oid).and_then(Value::as_i32);
        let clock = |(index, signal): &(u32, Signal)| {
            let column = |column| number(&oids::refclock(column, *index));
            let status = match (column(Refclock::Usage)?, column(Refclock::State)?) {
                (_, 1) => Status::Ok,
                (_, 2) => Status::Fail,
                // Neither used nor in any state: there is none.
                (0, 0) => Status::Absent,
                _ => Status::Unknown,
            };
            let substate = column(Refclock::Substate).and_then(substate);
            Some(Clock {
                signal: *signal,
                status,
                selected: None,
                is_malformed: false,
                detail: substate
                    .map(|name| ("substate", Detail::Text(name.into())))
                    .into_iter()
                    .collect(),
            })
        };
        SnmpStatus {
            firmware: text(&oids::firmware()),
            serial_number: text(&oids::serial_number()),
            ntp: match number(&oids::ntp_state()) {
                Some(1) => Some(false),
                Some(2) => Some(true),
                _ => None,
            },
            clocks: CLOCKS.iter().filter_map(clock).collect(),
        }
    }

    /// Whether anything was reported that relays depend on.
    pub fn is_usable(&self) -> bool {
        !self.clocks.is_empty()
    }

    /// What is known of the device when only this and the state of the events `kept` are. `last` is what REST has
    /// reported, above all which modules there are; without it the slots that are configured with their wiring are
    /// taken as they are configured.
    pub fn snapshot(
        &self,
        last: Option<&Snapshot>,
        kept: &[EventName],
        watched: &Slots,
        web_interface: &str,
    ) -> Snapshot {
        let mut snapshot = match last {
            Some(last) => last.clone(),
            None => without_rest(watched, web_interface),
        };
        snapshot.via = Via::Snmp;
        let identity = Arc::make_mut(&mut snapshot.identity);
        // What REST has reported of this stays: over SNMP the same is written otherwise ("7.08.012").
        let is_from_rest = !identity.profile.is_empty();
        let settle = |rest: &mut Option<Text>, snmp: &Option<Text>| {
            if !is_from_rest || rest.is_none() {
                *rest = snmp.clone().or(rest.take());
            }
        };
        settle(&mut identity.firmware, &self.firmware);
        settle(&mut identity.serial_number, &self.serial_number);
        // A chassis that REST shows with one clock only has no second one.
        let has = |clock: &&Clock| match last {
            Some(last) if last.clock(clock.signal).is_some() => true,
            Some(last) if last.via == Via::Rest => false,
            _ => clock.status != Status::Absent,
        };
        snapshot.clocks = self.clocks.iter().filter(has).cloned().collect();
        if let Some(rsc) = &mut snapshot.rsc {
            rsc.detail = Details::default();
        }
        for (_, module) in &mut snapshot.relay_modules {
            // The MIB has no object for a relay's position, nor for what a module monitors.
            module.positions = [None; 3];
            module.signals.clear();
        }
        let was_rest = last.is_some_and(|last| last.via == Via::Rest);
        snapshot.events = self.events(&snapshot.events, kept, was_rest);
        snapshot
    }

    /// Only NTP's state is reported. The state of all other events is unknown, until a trap reports it.
    fn events(&self, events: &[EventState], kept: &[EventName], forget: bool) -> Arc<[EventState]> {
        let now = |event: &EventState| EventState {
            triggered: match event.name.as_str() {
                NTP_NOT_SYNC => self.ntp.map(|is_synchronized| !is_synchronized),
                _ => event.triggered.filter(|_| !forget || kept.contains(&event.name)),
            },
            ..event.clone()
        };
        events.iter().map(now).collect()
    }

    /// Compares this with what REST reports: a clock of which the two report different things is unknown, and its detail
    /// contains what each of them reports.
    pub fn compare(&self, snapshot: &mut Snapshot) {
        for reported in &self.clocks {
            let Some(clock) = snapshot
                .clocks
                .iter_mut()
                .find(|clock| clock.signal == reported.signal)
            else {
                continue;
            };
            let are_known = clock.status != Status::Unknown && reported.status != Status::Unknown;
            if are_known && clock.status != reported.status {
                let word = |status: Status| Detail::Text(status.as_str().into());
                let both = [("rest", word(clock.status)), ("snmp", word(reported.status))];
                clock.detail = clock.detail.iter().cloned().chain(both).collect();
                clock.status = Status::Unknown;
            }
        }
    }
}

/// A device that has never answered over REST.
fn without_rest(watched: &Slots, web_interface: &str) -> Snapshot {
    let listed = match watched {
        Slots::Auto => &[][..],
        Slots::Listed(listed) => listed,
    };
    let wired = listed
        .iter()
        .filter(|(_, wiring)| wiring.is_some())
        .map(|(slot, _)| slot);
    Snapshot {
        identity: Identity {
            web_interface: web_interface.into(),
            ..Identity::default()
        }
        .into(),
        chassis_seen: true,
        slots: wired
            .clone()
            .map(|slot| (slot.clone(), Module::Fitted(None)))
            .collect(),
        relay_modules: wired.map(|slot| (slot.clone(), RelayModule::default())).collect(),
        ..Snapshot::default()
    }
}

fn known_text(text: &str) -> Option<Text> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= MAX_TEXT && text != "n/a").then(|| text.into())
}

/// `mbgLtNgRefclockSubstate` by its name in the MIB.
fn substate(number: i32) -> Option<&'static str> {
    Some(match number {
        -1 => "mrsRefNone",
        1 => "gpsSync",
        2 => "gpsTracking",
        3 => "gpsAntennaDisconnected",
        4 => "gpsWarmBoot",
        5 => "gpsColdBoot",
        6 => "gpsAntennaShortCircuit",
        50 => "lwNeverSync",
        51 => "lwNotSync",
        52 => "lwSync",
        100 => "tcrNotSync",
        101 => "tcrSync",
        149 => "mrsIntOscSync",
        150 => "mrsGpsSync",
        151 => "mrs10MhzSync",
        152 => "mrsPpsInSync",
        153 => "mrs10MhzPpsInSync",
        154 => "mrsIrigSync",
        155 => "mrsNtpSync",
        156 => "mrsPtpIeee1588Sync",
        157 => "mrsPtpOverE1Sync",
        158 => "mrsFixedFreqInSync",
        159 => "mrsPpsStringSync",
        160 => "mrsVarFreqGpioSync",
        162 => "mrsDcf77PzfSync",
        163 => "mrsLongwaveSync",
        164 => "mrsGlonassGpsSync",
        165 => "mrsHavequickSync",
        166 => "mrsExtOscSync",
        167 => "mrsSyncE",
        168 => "mrsVideoInSync",
        169 => "mrsLtcSync",
        170 => "mrsOscSync",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::derive::{RelayEvents, slots};
    use crate::model::{ChassisKind, Position, Provenance, Relay, SlotId, Wiring};

    fn values(clocks: [[i32; 3]; 2], ntp: i32) -> Vec<(Oid, Value)> {
        let mut values = vec![
            (oids::firmware(), Value::from("fw_7.10.008")),
            (oids::serial_number(), Value::from("n/a")),
            (oids::ntp_state(), Value::Integer(ntp)),
        ];
        for ((index, _), [usage, state, substate]) in CLOCKS.iter().zip(clocks) {
            for (column, number) in [
                (Refclock::Usage, usage),
                (Refclock::State, state),
                (Refclock::Substate, substate),
            ] {
                values.push((oids::refclock(column, *index), Value::Integer(number)));
            }
        }
        values
    }

    fn slot() -> SlotId {
        SlotId::new("io3").unwrap()
    }

    fn listed() -> Slots {
        let wiring = Wiring::usual(ChassisKind::Redundant);
        Slots::Listed(vec![(slot(), Some(wiring)), (SlotId::new("io4").unwrap(), None)])
    }

    #[test]
    fn all_that_is_asked_for_is_understood() {
        let values = values([[3, 1, 1], [1, 2, 3]], 2);
        let asked = objects();
        assert!(values.iter().all(|(oid, _)| asked.contains(oid)) && asked.len() == values.len());
        let status = SnmpStatus::read(&values);
        assert_eq!(status.firmware.as_deref(), Some("fw_7.10.008"));
        assert_eq!((status.serial_number, status.ntp), (None, Some(true)));
        let clocks: Vec<_> = status
            .clocks
            .iter()
            .map(|clock| (clock.signal, clock.status))
            .collect();
        assert_eq!(clocks, [(Signal::Clk1, Status::Ok), (Signal::Clk2, Status::Fail)]);
        assert_eq!(
            status.clocks[1].detail[0].1,
            Detail::Text("gpsAntennaDisconnected".into())
        );
        assert!(!SnmpStatus::read(&[]).is_usable());
    }

    #[test]
    fn relays_follow_the_clocks_of_a_device_that_never_answered_over_rest() {
        let status = SnmpStatus::read(&values([[3, 1, 1], [1, 2, 3]], 1));
        let snapshot = status.snapshot(None, &[], &listed(), "https://m1");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let kind = snapshot.chassis_kind();
        assert_eq!(kind, ChassisKind::Redundant);
        let slots = slots(
            &snapshot,
            kind,
            &listed(),
            &RelayEvents::new(),
            &Default::default(),
            now,
        );
        let relays = &slots[&slot()].relays;
        let reported = |relay| {
            (
                relays[&relay].position,
                relays[&relay].provenance,
                relays[&relay].via,
            )
        };
        assert_eq!(reported(Relay::A), (Position::No, Provenance::Derived, Via::Snmp));
        assert_eq!(reported(Relay::B), (Position::Nc, Provenance::Derived, Via::Snmp));
        let unwired = &slots[&SlotId::new("io4").unwrap()];
        assert!(unwired.relays.is_empty(), "nobody says that there is a module");
    }

    #[test]
    fn what_rest_has_said_of_firmware_stands() {
        let status = |firmware: &str| SnmpStatus {
            firmware: Some(firmware.into()),
            serial_number: Some("1".into()),
            ..SnmpStatus::default()
        };
        let seen = |last: &Snapshot, firmware| {
            let snapshot = status(firmware).snapshot(Some(last), &[], &listed(), "");
            let Identity {
                firmware,
                serial_number,
                ..
            } = Identity::clone(&snapshot.identity);
            (snapshot, firmware.unwrap(), serial_number.unwrap())
        };
        let mut rest = Snapshot::default();
        Arc::make_mut(&mut rest.identity).profile = "api-10".into();
        let (over_snmp, firmware, serial_number) = seen(&rest, "7.06.014");
        assert_eq!(
            (&*firmware, &*serial_number),
            ("7.06.014", "1"),
            "REST did not say"
        );
        assert_eq!(seen(&over_snmp, "7.06.014").1, "7.06.014");
        let identity = Arc::make_mut(&mut rest.identity);
        identity.firmware = Some("fw_7.06.014-light".into());
        identity.serial_number = Some("0001".into());
        let (over_snmp, firmware, serial_number) = seen(&rest, "7.06.014");
        assert_eq!((&*firmware, &*serial_number), ("fw_7.06.014-light", "0001"));
        assert_eq!(
            seen(&over_snmp, "7.08.012").1,
            "fw_7.06.014-light",
            "and so it stays"
        );
        let (never, firmware, _) = seen(&Snapshot::default(), "7.06.014");
        assert_eq!(firmware, "7.06.014", "REST was never heard");
        assert_eq!(
            seen(&never, "7.08.012").1,
            "7.08.012",
            "an update over SNMP alone is seen"
        );
    }

    #[test]
    fn what_rest_and_snmp_report_differently_is_unknown() {
        let rest = SnmpStatus::read(&values([[3, 1, 1], [1, 1, 1]], 2)).snapshot(None, &[], &listed(), "");
        let mut snapshot = rest.clone();
        SnmpStatus::read(&values([[3, 2, 3], [1, 0, 0]], 2)).compare(&mut snapshot);
        assert_eq!(snapshot.clocks[0].status, Status::Unknown);
        let detail = &snapshot.clocks[0].detail;
        assert_eq!(
            detail[1..],
            [
                ("rest", Detail::Text("ok".into())),
                ("snmp", Detail::Text("fail".into()))
            ]
        );
        assert_eq!(
            snapshot.clocks[1].status, rest.clocks[1].status,
            "one does not know"
        );
    }
}
