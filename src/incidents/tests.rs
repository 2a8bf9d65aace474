//! When incidents are reported.

use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::*;
use crate::model::{DeviceId, ErrorKind};

const REPEAT: Duration = Duration::from_secs(15 * 60);

/// A device whose polls fail, or what refuses traps.
struct Owner {
    incidents: Incidents,
    key: IncidentKey,
    begin: Instant,
    /// The second of each report.
    reports: Vec<(u64, IncidentReport)>,
}

impl Owner {
    fn device() -> Owner {
        Owner::of(IncidentKey::of_device(
            IncidentKind::Poll,
            &DeviceId::new("m1").unwrap(),
        ))
    }

    fn of(key: IncidentKey) -> Owner {
        Owner {
            incidents: Incidents::new(REPEAT),
            key,
            begin: Instant::now(),
            reports: Vec::new(),
        }
    }

    fn times(&self, second: u64) -> (Timestamp, Instant) {
        let at = Timestamp::from_second(second as i64).unwrap();
        (at, self.begin + Duration::from_secs(second))
    }

    fn see(&mut self, second: u64, times: u64, message: &str) {
        let (at, now) = self.times(second);
        let error = ErrorReport::new(ErrorKind::Timeout, message, "wait");
        let seen = Seen {
            times,
            ..Seen::once(Operation::Poll, error)
        };
        let report = self.incidents.raise(self.key.clone(), seen, at, now);
        self.reports.extend(report.map(|report| (second, report)));
    }

    fn look(&mut self, second: u64) {
        let (at, now) = self.times(second);
        let due = self.incidents.due(at, now).into_iter();
        self.reports.extend(due.map(|report| (second, report)));
    }

    fn poll(&mut self, second: u64, fails: bool) {
        if fails {
            return self.see(second, 1, "late");
        }
        let (_, now) = self.times(second);
        self.incidents.well(&self.key, now);
        self.look(second);
    }

    fn polls(&mut self, seconds: RangeInclusive<u64>, fails: impl Fn(u64) -> bool) {
        seconds.for_each(|second| self.poll(second, fails(second)));
    }

    /// The bridge is killed, and started again at that second: of the incident it knows what was reported last.
    fn start_again(&mut self, second: u64) {
        let (_, last) = self.reports.last().unwrap().clone();
        let (at, now) = self.times(second);
        self.incidents = Incidents::new(REPEAT);
        self.incidents.resume(last.incident, at, now);
    }

    /// Second, stage and number of each report.
    fn reported(&self) -> Vec<(u64, Stage, Option<u64>)> {
        let reports = self.reports.iter();
        reports
            .map(|(second, report)| (*second, report.stage, report.repeats))
            .collect()
    }
}

#[test]
fn a_device_that_is_dead_for_an_hour_gives_a_start_and_four_repeats() {
    let mut device = Owner::device();
    (0..=3600)
        .step_by(15)
        .for_each(|second| device.poll(second, true));
    let expected = [
        (0, Stage::Begun, None),
        (900, Stage::Lasting, Some(61)),
        (1800, Stage::Lasting, Some(121)),
        (2700, Stage::Lasting, Some(181)),
        (3600, Stage::Lasting, Some(241)),
    ];
    assert_eq!(device.reported(), expected);
    let id = device.reports[0].1.incident.id;
    for (_, report) in &device.reports {
        assert_eq!(
            (report.incident.first_at, report.incident.id),
            (Timestamp::UNIX_EPOCH, id)
        );
    }
}

#[test]
fn a_flapping_device_gives_no_more_and_its_end_is_reported_once() {
    let mut device = Owner::device();
    device.polls(0..=900, |second| second % 30 == 0);
    device.polls(901..=1100, |_| false);
    let expected = [
        (0, Stage::Begun, None),
        (900, Stage::Lasting, Some(31)),
        (961, Stage::Over, Some(31)),
    ];
    assert_eq!(device.reported(), expected);
    assert_eq!(device.incidents.get(&device.key), None);
    device.poll(1200, true);
    assert_eq!(device.reported().last(), Some(&(1200, Stage::Begun, None)));
    assert_ne!(device.reports[0].1.incident.id, device.reports[3].1.incident.id);
}

#[test]
fn the_end_is_asked_for_in_time() {
    let mut device = Owner::device();
    device.poll(0, true);
    assert_eq!(device.incidents.next_end(), None);
    device.poll(10, false);
    device.poll(20, false);
    assert_eq!(device.incidents.next_end(), Some(device.times(70).1));
    device.poll(30, true);
    assert_eq!(device.incidents.next_end(), None);
}

#[test]
fn an_incident_that_lasts_over_restarts_is_reported_as_if_there_was_none() {
    let mut device = Owner::device();
    for second in (0..=1000).step_by(10) {
        device.poll(second, true);
        device.start_again(second + 5);
    }
    let expected = [(0, Stage::Begun, None), (900, Stage::Lasting, Some(2))];
    assert_eq!(device.reported(), expected);
    // Stopped for longer than the pause: the next failure is reported at once.
    device.start_again(5000);
    device.poll(5001, true);
    assert_eq!(device.reported().last(), Some(&(5001, Stage::Lasting, Some(3))));
    assert_eq!(device.reports[2].1.incident.first_at, Timestamp::UNIX_EPOCH);
}

#[test]
fn the_end_of_an_incident_of_an_earlier_run_is_reported() {
    let mut device = Owner::device();
    device.poll(0, true);
    device.start_again(100);
    device.polls(101..=160, |_| false);
    assert_eq!(device.reported().len(), 1, "not before it is over for a while");
    device.poll(161, false);
    assert_eq!(device.reported().last(), Some(&(161, Stage::Over, Some(1))));
    let (first, end) = (&device.reports[0].1.incident, &device.reports[1].1.incident);
    assert_eq!((&end.error, end.first_at), (&first.error, first.first_at));
    assert_eq!(end.reported_at, device.times(161).0);
}

#[test]
fn a_clock_that_was_put_back_makes_no_longer_pause() {
    let mut device = Owner::device();
    device.poll(0, true);
    let at = Timestamp::from_second(-7200).unwrap();
    let first = device.reports[0].1.incident.clone();
    device.incidents = Incidents::new(REPEAT);
    device.incidents.resume(first, at, device.begin);
    device.polls(1..=900, |_| true);
    assert_eq!(device.reported().last(), Some(&(900, Stage::Lasting, Some(901))));
}

#[test]
fn what_is_counted_is_reported_with_what_came_since_and_is_over_when_nothing_comes() {
    let mut traps = Owner::of(IncidentKey::about(IncidentKind::Trap, "community"));
    for second in 0..1800 {
        traps.see(second, 10, &format!("from 10.0.0.{second}"));
        traps.look(second);
    }
    (1800..3600).for_each(|second| traps.look(second));
    let expected = [
        (0, Stage::Begun, Some(10)),
        (900, Stage::Lasting, Some(9000)),
        (1800, Stage::Lasting, Some(8990)),
        (2700, Stage::Over, Some(0)),
    ];
    assert_eq!(traps.reported(), expected);
    let messages = traps
        .reports
        .iter()
        .map(|(_, report)| &report.incident.error.message);
    let expected = [
        "from 10.0.0.0",
        "from 10.0.0.900",
        "from 10.0.0.1799",
        "from 10.0.0.1799",
    ];
    assert!(messages.eq(expected.iter()));
    assert_eq!(traps.reports[2].1.incident.count, 18_000);
    traps.see(3600, 1, "");
    assert_eq!(traps.reported().last(), Some(&(3600, Stage::Begun, None)));
}

#[test]
fn what_is_withdrawn_is_not_there_any_more() {
    let mut device = Owner::device();
    device.poll(0, true);
    let key = device.key.clone();
    let report = device.incidents.withdraw(&key).unwrap();
    assert_eq!(report.stage, Stage::Withdrawn);
    assert!(!IncidentKind::Poll.has_dead_letter(report.stage));
    assert_eq!(device.incidents.withdraw(&key), None);
}

#[test]
fn what_is_reported_once_in_a_run_is_open_again_without_a_report() {
    let mut topic = Owner::of(IncidentKey::about(IncidentKind::Publish, "lantime/m1/state"));
    (0..2000).for_each(|second| topic.see(second, 1, "too large"));
    let (at, now) = topic.times(2000);
    topic.incidents.well(&topic.key, now);
    assert_eq!(topic.incidents.due(at, now), []);
    topic.look(2060);
    topic.see(3000, 1, "too large");
    let end = topic.incidents.clear(&topic.key, topic.times(3001).0);
    topic.reports.extend(end.map(|report| (3001, report)));
    let expected = [
        (0, Stage::Begun, None),
        (2060, Stage::Over, Some(2000)),
        (3000, Stage::Resumed, None),
        (3001, Stage::Over, Some(1)),
    ];
    assert_eq!(topic.reported(), expected);
    assert!(topic.incidents.is_empty() && topic.incidents.may_report(&topic.key, 1));
    let other = IncidentKey::about(IncidentKind::Publish, "lantime/m2/state");
    assert!(!topic.incidents.may_report(&other, 1) && topic.incidents.may_report(&other, 2));
}

proptest! {
    /// Whatever fails when: reports alternate from a beginning to an end, two of the same incident are `REPEAT` apart (but
    /// for its end), and all that was seen is counted.
    #[test]
    fn reports_begin_end_and_are_never_many(steps in prop::collection::vec((1_u64..300, any::<bool>()), 1..200)) {
        let mut device = Owner::device();
        let (mut second, mut failures) = (0, 0);
        for (pause, fails) in steps {
            second += pause;
            device.poll(second, fails);
            failures += u64::from(fails);
        }
        let (mut counted, mut before) = (0, None);
        for (second, report) in &device.reports {
            match (before, report.stage) {
                (None, Stage::Begun) => {}
                (Some(last), Stage::Lasting) => prop_assert!(second - last >= REPEAT.as_secs()),
                (Some(_), Stage::Over) => counted += report.incident.count,
                other => prop_assert!(false, "{other:?}"),
            }
            before = (report.stage != Stage::Over).then_some(*second);
        }
        let open = device.incidents.get(&device.key).map_or(0, |incident| incident.count);
        prop_assert_eq!(counted + open, failures);
    }
}
