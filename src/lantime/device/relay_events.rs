//! Which events switch the relays of a device: read now and then, and changed by commands. Over REST, with
//! the assumed entries of the API profile, or, where that is configured, over SNMP.

pub(super) mod over_snmp;
mod place;
mod warnings;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::DeviceTask;
use super::job::Waiting;
use crate::fault_point;
use crate::lantime::rest::relay_events::RelayConfig;
use crate::lantime::rest::{Profile, RestError};
use crate::model::derive::{ChosenEvents, RelayEvents, Slots, on_notification};
use crate::model::{
    DeadLetter, ErrorKind, ErrorReport, EventName, EventState, EventsChange, Operation, Outcome, Relay,
    RelayPlace, SlotId, Snapshot, Via,
};
use place::check_place;
use warnings::warnings;

/// How often the device is asked, if nothing tells of a change before.
const READ_EVERY: Duration = Duration::from_secs(300);
/// The event by which a device says that somebody has changed its configuration.
const CONFIGURATION_CHANGED: &str = "device-configuration-changed";

/// What is known of the events that switch the relays of a device.
#[derive(Debug)]
pub(super) struct Chosen {
    /// The relays that follow notification events by the configured wiring.
    places: Vec<RelayPlace>,
    known: RelayEvents,
    /// When to ask next.
    due: Instant,
    /// How the event that tells of a new configuration stood when the device was last asked.
    told_by: Option<EventState>,
    /// A change of ours that is on the device, but may not be in force: what it is for, and the events.
    staged: Option<(String, BTreeSet<EventName>)>,
    /// How often a failure to read it is told, at most.
    repeat_letters: Duration,
    /// When it was last told.
    told: Option<Instant>,
    /// A dead letter that tells it, to be sent.
    pub(super) letter: Option<DeadLetter>,
}

impl Chosen {
    pub(super) fn new(slots: &Slots, mut known: RelayEvents, repeat_letters: Duration) -> Chosen {
        let mut places = Vec::new();
        if let Slots::Listed(listed) = slots {
            for (slot, wiring) in listed {
                let relays = wiring.iter().flat_map(|wiring| on_notification(*wiring));
                places.extend(relays.map(|relay| RelayPlace {
                    slot: slot.clone(),
                    relay,
                }));
            }
        }
        let is_place = |(slot, relay): &(SlotId, Relay)| {
            places
                .iter()
                .any(|place| place.slot == *slot && place.relay == *relay)
        };
        known.retain(|place, _| is_place(place));
        known.values_mut().for_each(|chosen| chosen.confirmed = false);
        Chosen {
            places,
            known,
            due: Instant::now(),
            told_by: None,
            staged: None,
            repeat_letters,
            told: None,
            letter: None,
        }
    }

    pub(super) fn known(&self) -> &RelayEvents {
        &self.known
    }

    pub(super) fn into_known(self) -> RelayEvents {
        self.known
    }

    /// Whether to ask the device, as far as its latest status tells.
    pub(super) fn is_due(&self, snapshot: &Snapshot) -> bool {
        !self.places.is_empty() && (Instant::now() >= self.due || self.told_by.as_ref() != teller(snapshot))
    }

    /// Takes over what the device says. What is staged there, but not in force, tells nothing.
    fn learn(&mut self, config: &RelayConfig, profile: &Profile) {
        for place in &self.places {
            let at = (place.slot.clone(), place.relay);
            if config.is_pending() {
                self.known.entry(at).and_modify(|chosen| chosen.confirmed = false);
                continue;
            }
            let word = profile.relay_events.word(&place.slot, place.relay);
            let chosen = ChosenEvents {
                events: config.events_of(&word),
                via: Via::Rest,
                confirmed: true,
            };
            self.known.insert(at, chosen);
        }
        if !config.is_pending() {
            self.staged = None;
        }
    }

    /// What was known may be so no longer: the device is asked again after its next answer.
    pub(super) fn doubt(&mut self) {
        self.unlearn();
        self.due = Instant::now();
    }

    fn unlearn(&mut self) {
        self.known
            .values_mut()
            .for_each(|chosen| chosen.confirmed = false);
    }

    /// The relays that a change of `word` reaches.
    fn reached_by(&self, word: &str, profile: &Profile) -> Vec<RelayPlace> {
        let has_word = |place: &&RelayPlace| profile.relay_events.word(&place.slot, place.relay) == word;
        self.places.iter().filter(has_word).cloned().collect()
    }
}

fn teller(snapshot: &Snapshot) -> Option<&EventState> {
    let is_teller = |event: &&EventState| event.name.as_str() == CONFIGURATION_CHANGED;
    snapshot.events.iter().find(is_teller)
}

impl DeviceTask {
    /// Asks the device what switches its relays. Whatever goes wrong only means that it is not known. Over SNMP this
    /// only begins: what it tells comes later, beside the polls.
    pub(super) async fn read_chosen(&mut self, snapshot: &Snapshot) {
        if self.chosen.places.is_empty() {
            return;
        }
        let profiles = self.profiles.clone();
        let profile = profiles.for_version(snapshot.api_major());
        self.chosen.due = Instant::now() + READ_EVERY;
        self.chosen.told_by = teller(snapshot).cloned();
        if self.over_snmp.is_some() {
            return self.begin_reading();
        }
        match self.relay_config(profile).await {
            Ok(config) => {
                self.chosen.learn(&config, profile);
            }
            Err(error) => self.chosen_failed(Operation::RelayEvents, error.report),
        }
    }

    /// It is not known what switches the relays: told when that begins, and now and then while it lasts.
    fn chosen_failed(&mut self, operation: Operation, report: ErrorReport) {
        self.chosen.unlearn();
        let is_told = |told: Instant| told.elapsed() < self.chosen.repeat_letters;
        if self.chosen.told.is_some_and(is_told) {
            return;
        }
        self.chosen.told = Some(Instant::now());
        let (kind, remedy) = (report.kind, &report.remedy);
        let url = report.url.as_deref().unwrap_or_default();
        tracing::warn!(
            device = %self.id, %kind, url, remedy,
            "which events switch the relays cannot be read: {}", report.message
        );
        self.chosen.letter = Some(self.letter(operation, report, Timestamp::now()));
    }

    async fn relay_config(&mut self, profile: &Profile) -> Result<RelayConfig, RestError> {
        let body = self.client.relay_events(profile).await?;
        RelayConfig::read(&body, profile).map_err(|error| {
            let url = format!("{}{}", self.client.url(), profile.relay_events.read.path);
            RestError::configuration(&url, &error)
        })
    }

    /// Changes the events that switch a relay: reads what stands, sends what differs, applies it, and reads
    /// back. Repeated, it goes on where it was.
    pub(super) async fn choose_events(
        &mut self,
        snapshot: &Snapshot,
        (slot, relay): (SlotId, Relay),
        change: &EventsChange,
        waiting: &mut Waiting,
    ) -> Result<Outcome, ErrorReport> {
        check_place(&self.view, &slot, relay)?;
        let profiles = self.profiles.clone();
        let profile = profiles.for_version(snapshot.api_major());
        if !self.allow_unverified_writes && !profile.relay_events.is_write_seen() {
            return Err(unverified(profile));
        }
        let deadline = waiting.deadline();
        let steps = self.carry_out(snapshot, profile, &slot, relay, change, waiting);
        let in_time = timeout_at(deadline, steps).await;
        let result = in_time.unwrap_or_else(|_| {
            let remedy = "look at the device's web interface, and send the command again";
            Err(ErrorReport::new(
                ErrorKind::Timeout,
                "the device took too long",
                remedy,
            ))
        });
        if result.is_err() && waiting.has_written {
            self.chosen.doubt();
        }
        result
    }

    async fn carry_out(
        &mut self,
        snapshot: &Snapshot,
        profile: &Profile,
        slot: &SlotId,
        relay: Relay,
        change: &EventsChange,
        waiting: &mut Waiting,
    ) -> Result<Outcome, ErrorReport> {
        let word = profile.relay_events.word(slot, relay);
        let before = self.relay_config(profile).await.map_err(report)?;
        let stands = before.events_of(&word);
        let desired = before.desired(&word, change, &snapshot.events)?;
        let staged = (word.clone(), desired.clone());
        let plan = before.plan(&word, &desired);
        // Ours is what is pending if it is just what we have written, now or in an earlier attempt.
        let is_ours = (plan.is_none() && waiting.may_have_written())
            || self.chosen.staged.as_ref() == Some(&(word.clone(), stands));
        if before.is_pending() && !is_ours {
            return Err(held_by_another());
        }
        let must_apply = plan.is_some() || before.is_pending();
        if let Some(plan) = &plan {
            // Without an answer it may have arrived all the same: so from now on, unless it is refused.
            let before = (waiting.has_written, self.chosen.staged.replace(staged));
            waiting.has_written = true;
            let written = self.client.write_relay_events(profile, plan.body(profile)).await;
            if written
                .as_ref()
                .is_err_and(|error| error.report.http_status.is_some())
            {
                (waiting.has_written, self.chosen.staged) = before;
            }
            written.map_err(report)?;
            fault_point::reached("written");
        }
        let after = if must_apply {
            let left = waiting.deadline().saturating_duration_since(Instant::now());
            self.client.apply(profile, left).await.map_err(report)?;
            self.relay_config(profile).await.map_err(report)?
        } else {
            before
        };
        fault_point::reached("read-back");
        let is_disturbed = plan.is_some_and(|plan| !plan.differing(&after).is_empty());
        if is_disturbed || after.is_pending() || !after.confirms(&word, &desired) {
            return Err(changed_meanwhile(&desired, &after.events_of(&word)));
        }
        self.chosen.learn(&after, profile);
        Ok(Outcome::RelayEvents {
            slot: slot.clone(),
            relay,
            warnings: warnings(&desired, &snapshot.events),
            events: desired,
            changed: must_apply || waiting.may_have_written(),
            applies_to: self.chosen.reached_by(&word, profile),
            via: Via::Rest,
        })
    }
}

fn report(error: RestError) -> ErrorReport {
    error.report
}

fn unverified(profile: &Profile) -> ErrorReport {
    let message = format!(
        "nobody has seen on a device how API profile {} chooses the events over REST, and a guess is not written to a \
         live time server",
        profile.name
    );
    let remedy = "choose the events in the device's web interface; or, to have the assumed entries written all the \
                  same, set allow_unverified_writes = true for this device";
    ErrorReport::new(ErrorKind::Profile, message, remedy)
}

fn held_by_another() -> ErrorReport {
    ErrorReport::new(
        ErrorKind::Conflict,
        "the device holds changes of somebody else that are not applied yet; applying ours would apply them too",
        "apply or discard them in the device's web interface, and send the command again",
    )
}

fn changed_meanwhile(desired: &BTreeSet<EventName>, found: &BTreeSet<EventName>) -> ErrorReport {
    let list = |events: &BTreeSet<EventName>| {
        let names: Vec<_> = events.iter().map(EventName::as_str).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let message = format!(
        "the change was applied, but the device was found otherwise afterwards: wanted {}, found {}",
        list(desired),
        list(found)
    );
    let remedy = "somebody else, or the device itself, has changed it meanwhile: look at its web interface, and send the \
                  command again if it is still wanted";
    ErrorReport::new(ErrorKind::Conflict, message, remedy)
}
