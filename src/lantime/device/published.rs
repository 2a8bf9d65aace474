//! What is published of a device, and from which answer; what follows is published here and nowhere else. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use litemap::LiteMap;
use tokio::time::Instant;

use super::events::{Events, Source};
use super::input::Effect;
use super::pause::with_pause;
use super::turn::{Settings, Turn};
use crate::lantime::snmp::status::SnmpStatus;
use crate::model::derive::{RelayEvents, Slots, slots, unseen};
use crate::model::{
    Acknowledged, Availability, ChassisKind, DeviceTopic, DeviceView, ErrorKind, ErrorReport, Outcome,
    Problem, Recorded, RecordedEvents, RecordedSlots, Relay, RelayPlace, Signal, SlotId, SlotTopic, SlotView,
    Snapshot, Text, Transition, UnknownReason, Update, Via, diff,
};

/// What was recorded before, and when the device was last watched, where nobody did for a while.
type Before = (Box<Recorded>, Option<Timestamp>);

/// What is published of a device.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) view: Arc<DeviceView>,
    /// The answer that it follows from.
    pub(super) snapshot: Option<Snapshot>,
    /// What an earlier run or task published, before the first answer.
    prior_slots: LiteMap<SlotId, SlotView>,
    /// What an earlier run has last recorded, as far as this one has not seen it yet.
    recorded: Box<Recorded>,
    /// When it was last watched, where nobody did for a while, until that is recorded.
    not_observed_since: Option<Timestamp>,
    /// The slots to watch.
    watched: Slots,
    /// What was reported of its events.
    pub(super) events: Events,
    /// Whether it is over SNMP alone that the device answers now.
    pub(super) is_over_snmp: bool,
    /// When it was last read so.
    seen_over_snmp: Option<Timestamp>,
}

impl Published {
    pub(super) fn new(
        view: Arc<DeviceView>,
        prior_slots: LiteMap<SlotId, SlotView>,
        (recorded, not_observed_since): Before,
        watched: Slots,
        events: Events,
    ) -> Published {
        Published {
            view,
            snapshot: None,
            prior_slots,
            recorded,
            not_observed_since,
            watched,
            events,
            is_over_snmp: false,
            seen_over_snmp: None,
        }
    }

    /// Nobody has watched the device since then. It is recorded once it is known how the device is.
    pub(super) fn was_not_watched(&mut self, since: Timestamp) {
        self.not_observed_since.get_or_insert(since);
    }

    /// Whether it is to be recorded that nobody has watched the device.
    pub(super) fn has_to_say(&self) -> bool {
        self.not_observed_since.is_some()
    }

    pub(super) fn is_online(&self) -> bool {
        self.view.availability == Some(Availability::Online)
    }

    pub(super) fn is_offline(&self) -> bool {
        self.view.availability == Some(Availability::Offline)
    }

    pub(super) fn problem(&self) -> Option<&Problem> {
        self.view.problem.as_ref()
    }

    /// Why the device is offline, while it is.
    pub(super) fn offline(&self) -> Option<&ErrorReport> {
        offline_reason(&self.view)
    }

    /// Publishes that the device is offline, which was last polled then.
    pub(super) fn go_offline(&mut self, mut view: DeviceView, polled_at: Option<Timestamp>, turn: &mut Turn) {
        let now = turn.now.wall;
        let seen_at = polled_at.max(self.seen_over_snmp);
        view.go_offline(seen_at.unwrap_or(now), now);
        self.publish(view, Source::Poll(Via::Rest), turn);
    }

    /// The slots as they were known last, by this task or before it.
    fn known(&self) -> &LiteMap<SlotId, SlotView> {
        match self.snapshot {
            Some(_) => &self.view.slots,
            None => &self.prior_slots,
        }
    }

    /// What the task that follows knows.
    pub(super) fn into_prior(self) -> (Arc<DeviceView>, LiteMap<SlotId, SlotView>, Before, Events) {
        let slots = self.known().clone();
        (
            self.view,
            slots,
            (self.recorded, self.not_observed_since),
            self.events,
        )
    }

    /// The view of a device that answers so; `problem` is the error that stands all the same.
    fn after(
        &self,
        snapshot: &Snapshot,
        problem: Option<Problem>,
        relay_events: &RelayEvents,
        now: Timestamp,
    ) -> DeviceView {
        let known = self.known();
        let was_redundant = self.view.chassis == Some(ChassisKind::Redundant)
            || known.values().any(|slot| slot.signals.contains_key(&Signal::Rsc));
        let chassis = match was_redundant {
            true => ChassisKind::Redundant,
            false => snapshot.chassis_kind(),
        };
        DeviceView {
            availability: Some(Availability::Online),
            identity: Some(snapshot.identity.clone()),
            problem,
            events: match snapshot.events_seen {
                true => snapshot.events.clone(),
                false => self.view.events_unknown(),
            },
            slots: slots(snapshot, chassis, &self.watched, relay_events, known, now),
            chassis: Some(chassis),
            place: Arc::clone(&self.view.place),
        }
    }

    /// The slots of a device that has never answered.
    pub(super) fn unseen(&self, relay_events: &RelayEvents, now: Timestamp) -> LiteMap<SlotId, SlotView> {
        let reason = UnknownReason::Offline;
        unseen(&self.watched, relay_events, &self.prior_slots, reason, now)
    }

    /// The device has not answered yet, and that is published: no more is known of it than that.
    pub(super) fn forget_prior(&mut self) {
        if self.snapshot.is_none() {
            self.prior_slots = self.view.slots.clone();
        }
    }

    /// Publishes what follows from an answer of the device; `problem` is the error that stands all the same.
    pub(super) fn answered(
        &mut self,
        mut snapshot: Snapshot,
        problem: Option<Problem>,
        relay_events: &RelayEvents,
        turn: &mut Turn,
    ) {
        let view = self.after(&snapshot, problem, relay_events, turn.now.wall);
        let source = Source::Poll(snapshot.via);
        if snapshot.via == Via::Snmp {
            self.seen_over_snmp = Some(turn.now.wall);
        }
        snapshot.shrink_to_fit();
        self.snapshot = Some(snapshot);
        self.publish(view, source, turn);
        self.prior_slots = LiteMap::new();
    }

    /// The answer that follows from what is known over SNMP alone, which shows what the device did until `shown`.
    pub(super) fn over_snmp(&mut self, status: &SnmpStatus, shown: Instant, settings: &Settings) -> Snapshot {
        let last = self.snapshot.as_ref();
        let kept = self.events.not_polled_yet();
        let mut snapshot = status.snapshot(last, &kept, &self.watched, &settings.url);
        if last.is_some() && snapshot.events_seen {
            self.events.polled(&mut snapshot.events, shown);
        }
        if !self.is_online() || last.is_none_or(|last| last.via == Via::Rest) {
            tracing::info!("REST fails: clocks are read over SNMP");
        }
        snapshot
    }

    /// Publishes what has changed without a new answer, of a device that answers on the way by which it is known.
    pub(super) fn publish_again(&mut self, relay_events: &RelayEvents, turn: &mut Turn) {
        let Some(snapshot) = &self.snapshot else { return };
        let is_current = self.view.problem.is_none() || self.is_over_snmp;
        if !self.is_online() || !is_current {
            return;
        }
        let (source, problem) = (Source::Poll(snapshot.via), self.view.problem.clone());
        let view = self.after(snapshot, problem, relay_events, turn.now.wall);
        self.publish(view, source, turn);
    }

    /// Publishes the events that traps have moved.
    pub(super) fn publish_events(&mut self, relay_events: &RelayEvents, turn: &mut Turn) {
        let events = self.events.listed();
        let Some(snapshot) = self
            .snapshot
            .as_mut()
            .filter(|snapshot| snapshot.events_seen && snapshot.events != *events)
        else {
            return;
        };
        snapshot.events = events.clone();
        let (events, problem) = (events.clone(), self.view.problem.clone());
        let view = match &self.snapshot {
            Some(snapshot) if self.is_online() => self.after(snapshot, problem, relay_events, turn.now.wall),
            // What its relays do cannot be known of a device that is offline.
            _ => DeviceView {
                events,
                ..DeviceView::clone(&self.view)
            },
        };
        self.publish(view, Source::Trap, turn);
    }

    /// Notes that somebody has seen the last faults of that relay, or of all.
    ///
    /// # Errors
    /// When there is no such slot.
    pub(super) fn acknowledge(
        &mut self,
        slot: Option<&SlotId>,
        relay: Option<Relay>,
        by: Option<&str>,
        turn: &mut Turn,
    ) -> Result<Outcome, ErrorReport> {
        if let Some(slot) = slot.filter(|slot| !self.known().contains_key(*slot)) {
            let message = format!("no relay module is known in slot {slot}");
            let remedy = "write a slot of this device that has one, or leave \"slot\" out";
            return Err(ErrorReport::new(ErrorKind::Rejected, message, remedy));
        }
        let acknowledged = Acknowledged {
            at: turn.now.wall,
            by: by.map(Text::from),
        };
        let mut view = DeviceView::clone(&self.view);
        let is_named = |place: &RelayPlace| {
            slot.is_none_or(|slot| *slot == place.slot) && relay.is_none_or(|relay| relay == place.relay)
        };
        // Before the first answer, what is known of relays is of before.
        let mut places = acknowledge(&mut self.prior_slots, &acknowledged, is_named);
        places.extend(acknowledge(&mut view.slots, &acknowledged, is_named));
        places.sort();
        places.dedup();
        self.publish(view, Source::Poll(Via::Rest), turn);
        Ok(Outcome::AcknowledgeFaults { acknowledged: places })
    }

    /// Publishes what is new in `view`. While polls fail, but for a device that is read over SNMP, its values are marked as
    /// stale.
    pub(super) fn publish(&mut self, mut view: DeviceView, source: Source, turn: &mut Turn) {
        let is_online = view.availability == Some(Availability::Online);
        view.place = Arc::clone(&turn.settings.place);
        if !self.recorded.may_be_of(&view) {
            *self.recorded = Recorded::default();
        }
        if let Some(slots) = &mut self.recorded.slots {
            slots.restore_last_faults(&mut view, &self.prior_slots, turn.now.wall);
        }
        if is_online && view.problem.is_some() && !self.is_over_snmp {
            view.mark_stale();
        }
        let before = std::mem::replace(&mut self.view, Arc::new(view));
        let changes = diff(&before, &self.view);
        let mut transitions = self.transitions_since_recorded(&before, source, turn.now.instant);
        transitions.extend(Transition::between(&before, &self.view, &changes));
        // What is published may still be of before the pause.
        let is_known =
            offline_reason(&self.view).is_some() || self.view.problem.is_none() || self.is_over_snmp;
        if before.availability.is_some() && is_known {
            let since = self.not_observed_since.take();
            transitions = with_pause(transitions, &self.view, since);
        }
        let offline = self.offline();
        if offline != offline_reason(&before) {
            turn.push(Effect::Offline(offline.cloned()));
        }
        if !(changes.is_empty() && transitions.is_empty()) {
            let recorded = self.recorded_after(&changes);
            turn.publish(Update::Device {
                device: turn.settings.id.clone(),
                view: Arc::clone(&self.view),
                changes,
                transitions,
                recorded,
            });
        }
    }

    /// What events went through, and how device, slots, relays and signals differ from what an earlier run has recorded: each
    /// is compared when it is first seen.
    fn transitions_since_recorded(
        &mut self,
        before: &DeviceView,
        source: Source,
        now: Instant,
    ) -> Vec<Transition> {
        let events = &self.view.events;
        let are_known = |_: &mut RecordedEvents| events.iter().any(|event| event.triggered.is_some());
        if let Some(recorded) = self.recorded.events.take_if(are_known) {
            self.events.go_on_from(&recorded, now);
        }
        let mut transitions = self.events.transitions(events, source, now);
        if before.availability.is_none() {
            transitions.extend(self.is_watched());
        }
        if let Some(slots) = &mut self.recorded.slots {
            transitions.extend(slots.take_transitions(&self.view));
        }
        transitions
    }

    /// The device is watched from now on: whether that is a change, or a first sight, or nobody has watched it for a while.
    fn is_watched(&mut self) -> Option<Transition> {
        let new = self.view.availability?;
        let recorded = self.recorded.slots.as_mut();
        let (old, taken_over) = recorded.and_then(RecordedSlots::take_availability).unzip();
        let not_observed_since = self.not_observed_since.take();
        (old != Some(new) || not_observed_since.is_some()).then(|| Transition::Availability {
            old,
            new,
            error: self.view.problem.as_ref().map(|problem| problem.error.kind),
            taken_over: taken_over.unwrap_or_default(),
            not_observed_since,
        })
    }

    /// What is recorded once there are records of these changes.
    fn recorded_after(&self, changes: &[DeviceTopic]) -> Option<Box<Recorded>> {
        let is_seen = self.view.identity.is_some();
        let has_events = is_seen
            && changes
                .iter()
                .any(|change| matches!(change, DeviceTopic::Event(_)));
        let is_recorded = |change: &DeviceTopic| match change {
            DeviceTopic::State | DeviceTopic::Slot(_, SlotTopic::State) => true,
            DeviceTopic::Slot(_, SlotTopic::Relay(_) | SlotTopic::Signal(_)) => is_seen,
            _ => false,
        };
        let has_slots = changes.iter().any(is_recorded);
        let slots = || self.recorded.slots.clone().unwrap_or_default().with(&self.view);
        let is_pending = self.recorded.events.is_some();
        (has_events || has_slots).then(|| {
            Box::new(Recorded {
                slots: has_slots.then(slots),
                events: (has_events && !is_pending).then(|| self.events.recorded()),
            })
        })
    }
}

/// Notes it at the last faults of the relays that are meant; gives those where it was not noted before.
fn acknowledge(
    slots: &mut LiteMap<SlotId, SlotView>,
    acknowledged: &Acknowledged,
    is_meant: impl Fn(&RelayPlace) -> bool,
) -> Vec<RelayPlace> {
    let mut places = Vec::new();
    for (slot, view) in slots.iter_mut() {
        for (relay, state) in view.relays.iter_mut() {
            let (slot, relay) = (slot.clone(), *relay);
            let place = RelayPlace { slot, relay };
            if let Some(fault) = &mut state.last_fault
                && fault.acknowledged.is_none()
                && is_meant(&place)
            {
                fault.acknowledged = Some(acknowledged.clone());
                places.push(place);
            }
        }
    }
    places
}

/// Why a device is offline, while it is.
fn offline_reason(view: &DeviceView) -> Option<&ErrorReport> {
    let is_offline = view.availability == Some(Availability::Offline);
    let problem = view.problem.as_ref().filter(|_| is_offline)?;
    Some(&problem.error)
}
