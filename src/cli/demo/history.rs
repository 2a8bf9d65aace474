//! The history that a demo begins with: its devices live through the days before, and what a bridge would have recorded is
//! put into the store. Views and transitions follow as they do from polls.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use uuid::{ContextV7, Uuid};

use super::devices::OF_STORY;
use super::earlier_days::{Step, What, steps};
use crate::config::{self, Config};
use crate::history::Entry;
use crate::lantime::rest::{Profiles, status};
use crate::model::derive::{RelayEvents, SelectedEvents, slots};
use crate::model::{
    Acknowledged, Availability, DeviceId, DeviceView, ErrorKind, ErrorReport, EventName, Operation, Problem,
    Recorded, RecordedSlots, Relay, SlotId, Transition, Via, diff,
};
use crate::records::change;
use crate::records::store::{Entries, Store};
use crate::simulator::{self, Driver, Fleet, SimulatedDevice};

/// How long before it is offline a device has answered for the last time.
const UNANSWERED: SignedDuration = SignedDuration::from_secs(4);

/// What was recorded until now, and of which devices what.
struct History {
    entries: Vec<Entry>,
    recorded: Vec<(DeviceId, Recorded)>,
}

/// A device in these days, as a bridge sees it.
struct Watched<'f> {
    simulated: &'f SimulatedDevice,
    device: &'f config::Device,
    view: DeviceView,
    /// Since when nobody watches it.
    not_observed_since: Option<Timestamp>,
}

/// Lets the devices of the fleet live through the days before now, and puts what was recorded into the store: the bridge
/// goes on from there.
pub(super) async fn fill(store: &Store, fleet: &Fleet, config: &Config) -> anyhow::Result<()> {
    let History { entries, recorded } = live(fleet, config, Timestamp::now(), &TimeZone::system())?;
    if let Some(first) = entries.first() {
        store.begin_history_at(first.at).await?;
    }
    store.add_history(entries).await?;
    let mut all = Entries::default();
    for (device, recorded) in recorded {
        all.record(device, Some(recorded));
    }
    store.append_all(all).await;
    Ok(())
}

fn live(fleet: &Fleet, config: &Config, now: Timestamp, zone: &TimeZone) -> anyhow::Result<History> {
    let pairs = fleet.devices().iter().zip(&config.devices);
    let mut devices: Vec<_> = pairs
        .take(OF_STORY)
        .map(|(simulated, device)| Watched::new(simulated, device))
        .collect();
    let (ids, mut entries) = (ContextV7::new(), Vec::new());
    for Step {
        at,
        devices: whom,
        what,
    } in steps(zone.to_datetime(now))
    {
        let at = zone.to_timestamp(at)?;
        for device in devices.get_mut(whom).into_iter().flatten() {
            let transitions = device.go_through(&what, at)?;
            entries.extend(transitions.iter().filter_map(|transition| {
                let record = change::record(&device.device.id, transition, at);
                let entry = Entry::read(&record.destination, &record.payload)?;
                Some(Entry {
                    id: id(&ids, at),
                    ..entry
                })
            }));
        }
    }
    let recorded = devices.iter().map(Watched::recorded).collect();
    Ok(History { entries, recorded })
}

/// An id as a record of then has: ids are in order.
fn id(context: &ContextV7, at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(context, seconds, 0))
}

impl<'f> Watched<'f> {
    fn new(simulated: &'f SimulatedDevice, device: &'f config::Device) -> Watched<'f> {
        let view = DeviceView {
            place: Arc::clone(&device.place),
            ..DeviceView::default()
        };
        Watched {
            simulated,
            device,
            view,
            not_observed_since: None,
        }
    }

    /// What is recorded when that happens.
    fn go_through(&mut self, what: &What, at: Timestamp) -> anyhow::Result<Vec<Transition>> {
        match what {
            What::Starts | What::Talks => self.poll(at),
            What::Does(action) => {
                self.simulated
                    .apply_at(action, at)
                    .context("the demo's history")?;
                self.poll(at)
            }
            What::Ends => {
                self.not_observed_since = Some(at);
                Ok(Vec::new())
            }
            What::Silent => Ok(self.go_offline(at)),
            What::Acknowledged => {
                self.acknowledge(at);
                Ok(Vec::new())
            }
        }
    }

    fn poll(&mut self, at: Timestamp) -> anyhow::Result<Vec<Transition>> {
        let body = self.simulated.document_at(at);
        let snapshot = status::snapshot(&body, &Profiles::built_in(), self.device.url.as_str())?;
        let (chassis, known) = (snapshot.chassis_kind(), &self.view.slots);
        let slots = slots(
            &snapshot,
            chassis,
            &self.device.slots,
            &self.relay_events(),
            known,
            at,
        );
        let new = DeviceView {
            availability: Some(Availability::Online),
            identity: Some(snapshot.identity),
            problem: None,
            events: snapshot.events,
            slots,
            chassis: Some(chassis),
            place: Arc::clone(&self.view.place),
        };
        let mut transitions: Vec<_> = self.is_watched(&new).into_iter().collect();
        transitions.extend(self.of_events(&new));
        transitions.extend(self.change(new));
        Ok(transitions)
    }

    fn go_offline(&mut self, at: Timestamp) -> Vec<Transition> {
        let mut new = self.view.clone();
        let message = "no answer within 5 s";
        new.problem = Some(Problem {
            id: Uuid::now_v7(),
            operation: Operation::Poll,
            error: ErrorReport::new(ErrorKind::Timeout, message, "see whether the device is reachable"),
            first_at: at,
        });
        new.go_offline(at - UNANSWERED, at);
        self.change(new)
    }

    fn change(&mut self, new: DeviceView) -> Vec<Transition> {
        let transitions = Transition::between(&self.view, &new, &diff(&self.view, &new));
        self.view = new;
        transitions
    }

    /// The device is watched for the first time, or again.
    fn is_watched(&mut self, new: &DeviceView) -> Option<Transition> {
        let (old, not_observed_since) = (self.view.availability, self.not_observed_since.take());
        (old.is_none() || not_observed_since.is_some()).then_some(Transition::Availability {
            old,
            new: new.availability?,
            error: None,
            taken_over: false,
            not_observed_since,
        })
    }

    fn of_events(&self, new: &DeviceView) -> Vec<Transition> {
        let known = new
            .events
            .iter()
            .filter_map(|event| Some((event, self.view.event(&event.name)?)));
        let transitions = known.flat_map(|(event, before)| {
            event
                .transitions(before)
                .iter()
                .map(|triggered| Transition::Event {
                    event: event.clone(),
                    triggered: *triggered,
                    via: Via::Rest,
                })
        });
        transitions.collect()
    }

    /// The events that switch its relays, as a bridge reads them.
    fn relay_events(&self) -> RelayEvents {
        let (world, modules) = (
            self.simulated.world(),
            self.simulated.kind().chassis.relay_modules(),
        );
        let relays = [
            (simulator::Relay::A, Relay::A),
            (simulator::Relay::B, Relay::B),
            (simulator::Relay::C, Relay::C),
        ];
        let all = modules
            .iter()
            .flat_map(|module| relays.map(|relay| (module, relay)));
        let switched = all.filter(|(module, (relay, _))| module.driver(*relay) == Driver::Notification);
        let selected = switched.filter_map(|(module, (simulated, relay))| {
            let events = world.relay_events(module.slot, simulated).into_iter();
            let events: BTreeSet<_> = events.filter_map(EventName::canonical).collect();
            let events = SelectedEvents {
                events: events.into_iter().collect(),
                via: Via::Rest,
                confirmed: true,
            };
            Some(((SlotId::new(module.slot)?, relay), events))
        });
        selected.collect()
    }

    fn acknowledge(&mut self, at: Timestamp) {
        let slots = self.view.slots.iter_mut();
        let relays = slots.flat_map(|(_, slot)| slot.relays.iter_mut());
        for fault in relays.filter_map(|(_, relay)| relay.last_fault.as_mut()) {
            let by = Some("operator".into());
            fault.acknowledged.get_or_insert(Acknowledged { at, by });
        }
    }

    fn recorded(&self) -> (DeviceId, Recorded) {
        let recorded = Recorded {
            slots: Some(RecordedSlots::default().with(&self.view)),
            events: None,
        };
        (self.device.id.clone(), recorded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::cli::demo::devices::{fleet_options, table};
    use crate::history::{Known, Part, Subject, Timeline, Value, Window};

    async fn fleet() -> (Fleet, Config) {
        let fleet = Fleet::start(fleet_options(OF_STORY, &[])).await.unwrap();
        let text = format!(
            "[mqtt]\nurl = \"embedded\"\n{}",
            fleet.bridge_config(Duration::from_secs(1))
        );
        let config = config::from_table("a test", table(&text).unwrap())
            .unwrap()
            .config;
        (fleet, config)
    }

    fn by_subject(entries: &[Entry], device: &str) -> Vec<(Subject, Vec<Entry>)> {
        let mut all: BTreeMap<String, (Subject, Vec<Entry>)> = BTreeMap::new();
        for entry in entries
            .iter()
            .filter(|entry| entry.subject.device.as_str() == device)
        {
            let subject = entry.subject.clone();
            let of = all.entry(subject.to_string()).or_insert((subject, Vec::new()));
            of.1.push(entry.clone());
        }
        all.into_values().collect()
    }

    #[tokio::test]
    async fn each_value_goes_on_from_the_one_before_up_to_how_the_devices_are() {
        let (fleet, config) = fleet().await;
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let History { entries, recorded } = live(&fleet, &config, now, &TimeZone::UTC).unwrap();
        assert!(entries.is_sorted_by_key(|entry| entry.at));
        assert!(
            entries.is_sorted_by(|one, next| one.id < next.id),
            "ids are unique and in order"
        );
        for device in &config.devices {
            for (subject, entries) in by_subject(&entries, device.id.as_str()) {
                for pair in entries.windows(2) {
                    assert_eq!(pair[0].new, pair[1].old, "{subject} at {}", pair[1].at);
                }
                let (last, is) = (entries.last().unwrap().new, &subject.part);
                let is_well = match is {
                    Some(Part::Event(name)) => {
                        let stands = fleet
                            .devices()
                            .iter()
                            .find(|simulated| simulated.id() == device.id.as_str());
                        let world = stands.unwrap().world();
                        last == Value::of_event(world.event(name.as_str()).unwrap().triggered)
                    }
                    _ => matches!(last, Value::Online | Value::No | Value::Ok),
                };
                assert!(is_well, "{subject} is {last:?}");
            }
        }
        assert_eq!(recorded.len(), OF_STORY);
        fleet.stop().await;
    }

    #[tokio::test]
    async fn a_relay_fell_three_times_in_the_last_night() {
        let (fleet, config) = fleet().await;
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let History { entries, .. } = live(&fleet, &config, now, &TimeZone::UTC).unwrap();
        let known = Known {
            history: &by_subject(&entries, "sim-1"),
            kept_since: entries.first().map(|entry| entry.at),
            view: None,
        };
        let from = now - SignedDuration::from_hours(24);
        let timeline = Timeline::of(known, Window { from, to: now });
        let relay = &timeline.slots[&SlotId::new("io3").unwrap()].relays[&Relay::A];
        let faults = relay.iter().filter(|span| span.value == Value::Nc);
        let faults: Vec<_> = faults
            .map(|span| (span.at.to_string(), span.cause.as_deref().unwrap_or_default()))
            .collect();
        let cause = "clock-not-sync";
        assert_eq!(
            faults,
            [
                ("2026-03-01T02:13:07Z".to_owned(), cause),
                ("2026-03-01T03:40:16Z".to_owned(), cause),
                ("2026-03-01T04:55:31Z".to_owned(), cause)
            ]
        );
        fleet.stop().await;
    }
}
