//! What makes a record: the first sight of an event, by a trap or by a poll.

use super::*;
use crate::lantime::device::trap_polls::{SETTLED_AFTER, TrapPolls, USUAL_LAG};
use crate::model::LastTriggered;

fn name(name: &str) -> EventName {
    EventName::canonical(name).unwrap()
}

fn event() -> EventName {
    name("ntp-not-sync")
}

/// It clears the other.
fn clearing() -> EventName {
    name("ntp-sync")
}

fn after(begin: Instant, seconds: u64) -> Instant {
    begin + Duration::from_secs(seconds)
}

fn listed(events: &[(&str, EventType, Option<bool>)]) -> Arc<[EventState]> {
    let state = |(event, kind, triggered): &(&str, EventType, Option<bool>)| EventState {
        name: name(event),
        name_on_device: None,
        triggered: *triggered,
        kind: *kind,
        last_triggered: LastTriggered::Never,
    };
    events.iter().map(state).collect()
}

fn errors(events: &[(&str, Option<bool>)]) -> Arc<[EventState]> {
    let kinds: Vec<_> = events
        .iter()
        .map(|(event, triggered)| (*event, EventType::Error, *triggered))
        .collect();
    listed(&kinds)
}

/// A device that lists these.
fn known(events: Arc<[EventState]>, shown: Instant) -> Events {
    let mut known = Events::default();
    known.polled(&mut events.clone(), shown);
    known
}

#[test]
fn the_first_of_trap_and_poll_makes_the_record() {
    let (mut events, begin) = (Events::default(), Instant::now());
    assert_eq!(events.trap(&event(), None, begin), TrapKind::New);
    assert!(
        !events.is_new_by_poll(&event(), true, false, after(begin, 1)),
        "the trap has reported it"
    );
    assert!(
        events.is_new_by_poll(&event(), true, false, after(begin, 2)),
        "it came again"
    );
    let late = events.trap(&event(), None, after(begin, 3));
    assert_eq!(late, TrapKind::PolledBefore);
    events.trap(&clearing(), None, after(begin, 4));
    let own = events.trap(&event(), None, after(begin, 5));
    assert_eq!(own, TrapKind::New, "a trap of its own");
}

#[test]
fn a_trap_that_no_poll_shows_is_over_with_the_next_poll() {
    let (mut events, begin) = (Events::default(), Instant::now());
    events.trap(&event(), None, after(begin, 1));
    events.poll_published(begin);
    assert!(
        !events.is_new_by_poll(&event(), true, false, after(begin, 2)),
        "that poll began before the trap"
    );
    events.trap(&clearing(), None, after(begin, 3));
    events.trap(&event(), None, after(begin, 3));
    events.poll_published(after(begin, 4));
    assert!(events.is_new_by_poll(&event(), true, false, after(begin, 5)));
}

#[test]
fn what_has_ended_and_comes_again_is_reported_again() {
    let (mut events, begin) = (Events::default(), Instant::now());
    events.is_new_by_poll(&event(), true, false, begin);
    events.ended(&event(), Source::Poll(Via::Rest));
    assert_eq!(events.trap(&event(), None, after(begin, 1)), TrapKind::New);
    events.ended(&event(), Source::Trap);
    assert!(
        !events.is_new_by_poll(&event(), false, false, after(begin, 2)),
        "that it had come is reported"
    );
    events.trap(&event(), None, after(begin, 3));
    events.ended(&event(), Source::Trap);
    assert!(
        events.is_new_by_poll(&event(), true, false, after(begin, 4)),
        "it came again since"
    );
    let mut events = Events::default();
    events.is_new_by_poll(&event(), true, false, begin);
    let late = events.trap(&event(), None, after(begin, 61));
    assert_eq!(late, TrapKind::New, "too late to be the same");
}

#[test]
fn a_standing_error_is_repeated_until_it_is_cleared() {
    use TrapKind::{New, Repeated};
    let begin = Instant::now();
    let kinds = |stands| {
        listed(&[
            ("ntp-sync", EventType::Info, Some(true)),
            ("ntp-not-sync", EventType::Error, Some(stands)),
            ("device-configuration-changed", EventType::Action, Some(false)),
        ])
    };
    let changed = name("device-configuration-changed");
    let mut events = known(kinds(true), begin);
    let mut trap = |event: &EventName, message, seconds| events.trap(event, message, after(begin, seconds));
    let one = Some("one");
    assert_eq!(trap(&event(), one, 0), Repeated, "the device's document shows it");
    assert_eq!(trap(&event(), one, 60), Repeated);
    let other = trap(&event(), Some("another"), 61);
    assert_eq!(other, New, "it is about something else");
    assert_eq!(trap(&event(), one, 62), Repeated, "both stand");
    let cleared = [trap(&clearing(), one, 63), trap(&event(), one, 64)];
    assert_eq!(cleared, [New, New], "cleared in between");
    let no_error = [trap(&clearing(), one, 65), trap(&clearing(), one, 66)];
    assert_eq!(no_error, [New, New]);
    let done = [trap(&changed, one, 67), trap(&changed, one, 68)];
    assert_eq!(done, [New, New], "something done");
    assert_eq!(
        [trap(&event(), one, 70), trap(&event(), one, 71)],
        [New, Repeated]
    );
    // A poll that may show things as they were before the trap, and one that cannot.
    events.polled(&mut kinds(true), after(begin, 60));
    assert_eq!(events.trap(&event(), one, after(begin, 72)), Repeated);
    events.polled(&mut kinds(false), after(begin, 80));
    assert_eq!(events.trap(&event(), one, after(begin, 81)), New, "it had ended");
}

#[test]
fn an_error_that_no_document_lists_is_repeated_too() {
    use TrapKind::{New, Repeated};
    let (mut events, begin) = (Events::default(), Instant::now());
    let mut trap = |event, hours: u64| events.trap(&name(event), None, after(begin, hours * 3600));
    assert_eq!([trap("fan-down", 0), trap("fan-down", 24)], [New, Repeated]);
    assert_eq!([trap("fan-up", 25), trap("fan-down", 26)], [New, New]);
    assert_eq!(trap("fan-down", 52), New, "no device repeats that seldom");
    assert_eq!([trap("heartbeat", 60), trap("heartbeat", 60)], [New, New]);
}

#[test]
fn a_trap_moves_its_event_and_ends_those_that_it_clears() {
    let now = Instant::now();
    let mut events = known(
        errors(&[
            ("ntp-sync", Some(false)),
            ("ntp-not-sync", Some(true)),
            ("ntp-stopped", Some(true)),
            ("system-reboot", None),
        ]),
        now,
    );
    events.trap(&clearing(), None, now);
    events.trap(&name("fan-down"), None, now);
    let expected = errors(&[
        ("ntp-sync", Some(true)),
        ("ntp-not-sync", Some(false)),
        ("ntp-stopped", Some(true)),
        ("system-reboot", None),
    ]);
    assert_eq!(*events.listed(), expected);
    events.trap(&event(), None, now);
    assert_eq!(events.listed()[1].triggered, Some(true), "the last trap counts");
}

#[test]
fn what_a_trap_has_moved_stays_until_a_poll_can_show_it() {
    let seconds = Duration::from_secs;
    // How far an answer says that it is behind, and how far it may be then.
    for (lag, behind) in [
        (None, USUAL_LAG),
        (Some(seconds(6)), seconds(6)),
        (Some(Duration::from_millis(10)), SETTLED_AFTER),
    ] {
        let came = Instant::now() + seconds(60);
        let shown = errors(&[("ntp-not-sync", Some(false)), ("fan-failure", Some(false))]);
        let kept = errors(&[("ntp-not-sync", Some(true)), ("fan-failure", Some(false))]);
        let before = errors(&[("ntp-not-sync", Some(false)), ("fan-failure", Some(true))]);
        let mut events = known(before, came - seconds(30));
        let mut polls = TrapPolls::default();
        polls.trap(came);
        events.trap(&event(), None, came);
        let mut poll = |began: Instant| {
            polls.lags_by(lag);
            let mut polled = shown.clone();
            events.polled(&mut polled, polls.shown_until(began));
            polls.ended(began);
            (polled, polls.again_at(began))
        };
        assert_eq!(poll(came), (kept.clone(), Some(came + SETTLED_AFTER)));
        if behind > SETTLED_AFTER {
            assert_eq!(poll(came + SETTLED_AFTER), (kept, Some(came + behind)));
        }
        assert_eq!(
            poll(came + behind),
            (shown.clone(), None),
            "by now the poll is right"
        );
    }
}

/// A task that follows another one gets the trap before it has published anything: what it publishes then is the trap's
/// state, and only a later answer shows the event.
#[test]
fn a_trap_before_the_first_answer_makes_one_record() {
    let (mut events, begin) = (Events::default(), Instant::now());
    let listed = |triggered, last_triggered| -> Arc<[EventState]> {
        let state = EventState {
            name: event(),
            name_on_device: None,
            triggered: Some(triggered),
            kind: EventType::Error,
            last_triggered,
        };
        Arc::new([state])
    };
    let before = listed(false, LastTriggered::Never);
    events.polled(&mut before.clone(), begin);
    assert_eq!(events.trap(&event(), None, after(begin, 1)), TrapKind::New);
    let mut shown = listed(false, LastTriggered::Never);
    events.polled(&mut shown, begin);
    assert_eq!(shown, listed(true, LastTriggered::Never), "as the trap has it");
    let later = listed(true, LastTriggered::at(jiff::Timestamp::UNIX_EPOCH));
    let by = Source::Poll(Via::Rest);
    for events_shown in [&before, &shown, &later] {
        assert_eq!(events.transitions(events_shown, by, after(begin, 2)), []);
    }
}

/// How the event went, where it came to be known so: each time whether it stood.
fn transitions(old: &Arc<[EventState]>, new: &Arc<[EventState]>, by: Source) -> Vec<bool> {
    let (mut events, now) = (Events::default(), Instant::now());
    assert_eq!(events.transitions(old, by, now), [], "a first sight");
    let transitions = events.transitions(new, by, now).into_iter();
    let triggered = |transition| match transition {
        Transition::Event { triggered, .. } => triggered,
        other => panic!("{other:?} is none of an event"),
    };
    transitions.map(triggered).collect()
}

#[test]
fn every_transition_of_an_event_makes_a_record_and_nothing_else() {
    let state = |triggered, last: Option<i64>| -> Arc<[EventState]> {
        let at = |second| LastTriggered::at(jiff::Timestamp::from_second(second).unwrap());
        let event = EventState {
            name: event(),
            name_on_device: None,
            triggered,
            kind: EventType::Error,
            last_triggered: last.map_or(LastTriggered::Never, at),
        };
        Arc::new([event])
    };
    let (yes, no, poll) = (Some(true), Some(false), Source::Poll(Via::Rest));
    for (old, new, expected) in [
        ((no, None), (yes, Some(5)), &[true][..]),
        ((yes, Some(5)), (no, Some(5)), &[false]),
        ((no, None), (yes, None), &[true]),
        // It came again, or came and went, between two polls.
        ((yes, Some(5)), (yes, Some(6)), &[true]),
        ((no, Some(5)), (no, Some(6)), &[true, false]),
        ((no, None), (no, Some(6)), &[true, false]),
        ((yes, Some(6)), (yes, Some(5)), &[]),
        ((yes, Some(6)), (yes, None), &[]),
        ((None, Some(5)), (yes, Some(6)), &[]),
        ((no, Some(5)), (None, Some(6)), &[]),
    ] {
        let found = transitions(&state(old.0, old.1), &state(new.0, new.1), poll);
        assert_eq!(found, expected, "{old:?} {new:?}");
    }
    // The trap's own record says that it came.
    let found = |old, new| transitions(&old, &new, Source::Trap);
    assert!(found(state(no, None), state(yes, Some(5))).is_empty());
    assert!(found(state(no, None), state(no, Some(5))).is_empty());
    assert_eq!(found(state(yes, None), state(no, Some(5))), [false]);
    let unlisted = transitions(&state(yes, Some(5)), &Arc::default(), poll);
    assert!(unlisted.is_empty(), "no longer listed");
}

#[test]
fn what_a_trap_has_reported_is_recorded_by_no_later_run_again() {
    let listed = |triggered, second| -> Arc<[EventState]> {
        let last_triggered = LastTriggered::at(jiff::Timestamp::from_second(second).unwrap());
        let event = EventState {
            last_triggered,
            ..listed(&[("ntp-not-sync", EventType::Error, Some(triggered))])[0].clone()
        };
        Arc::new([event])
    };
    let (poll, begin) = (Source::Poll(Via::Rest), Instant::now());
    let next_run = |has_trap, polled: Arc<[EventState]>| {
        let mut before = known(listed(false, 5), begin);
        before.transitions(&before.listed().clone(), poll, begin);
        if has_trap {
            before.trap(&event(), None, after(begin, 1));
            before.transitions(&before.listed().clone(), Source::Trap, after(begin, 1));
        }
        let mut next = Events::default();
        next.go_on_from(&before.recorded(), after(begin, 2));
        next.transitions(&polled, poll, after(begin, 2)).len()
    };
    // The time of the event is known from the poll alone.
    assert_eq!(next_run(true, listed(true, 6)), 0);
    assert_eq!(next_run(false, listed(true, 6)), 1);
    assert_eq!(next_run(false, listed(false, 5)), 0);
}
