//! What is not taken, an incident for each reason. Whoever sends can make their reports neither more nor many, and learns
//! nothing.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::incidents::{Incidents, Seen};
use crate::model::{ErrorKind, ErrorReport, Incident, IncidentKey, IncidentKind, IncidentReport, Operation};

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A community that is not configured.
    Community,
    /// v3 without authentication and encryption.
    Unprotected,
    /// A v3 user that is not configured, or keys that are not the user's.
    Credentials,
    /// v3 messages whose engine boots or time are over.
    OutOfTime,
    /// Nobody who is configured as a device.
    UnknownSender,
    /// They come too fast.
    Overrun,
}

impl Reason {
    /// Its name among incidents.
    fn as_str(self) -> &'static str {
        match self {
            Reason::Community => "community",
            Reason::Unprotected => "unprotected",
            Reason::Credentials => "credentials",
            Reason::OutOfTime => "out-of-time",
            Reason::UnknownSender => "unknown-sender",
            Reason::Overrun => "overrun",
        }
    }

    fn report(self, what: String) -> ErrorReport {
        let (kind, remedy) = match self {
            Reason::Community => (
                ErrorKind::Unauthorized,
                "compare snmp.communities with the community that the sender is set to",
            ),
            Reason::Unprotected => (
                ErrorKind::Unauthorized,
                "set the sender to authPriv: v3 is taken with authentication and encryption only",
            ),
            Reason::Credentials => (
                ErrorKind::Unauthorized,
                "compare [[snmp.users]] (name, protocol and password for authentication) with the user that the sender is set to",
            ),
            Reason::OutOfTime => (
                ErrorKind::Unauthorized,
                "this is a replay, or an agent that has started again without counting its engine boots up: it is taken again once the device's REST API shows that it has restarted, or after a restart of the bridge",
            ),
            Reason::UnknownSender => (
                ErrorKind::Rejected,
                "write the address into snmp.trap_sources of the device that it belongs to, or let the sender stop; where several devices share an address, a trap has to carry its sysName, as one of them has it in snmp.sys_name",
            ),
            Reason::Overrun => (
                ErrorKind::Busy,
                "let the devices send fewer notifications; what was lost shows at the next poll",
            ),
        };
        ErrorReport::new(kind, what, remedy)
    }
}

/// What is refused now.
#[derive(Debug)]
pub(super) struct Refusals {
    incidents: Incidents,
}

impl Refusals {
    /// Goes on with what an earlier run has left open, and reports each reason again after `repeat`.
    pub(super) fn new(repeat: Duration, open: Vec<Incident>) -> Refusals {
        let mut incidents = Incidents::new(repeat);
        let (at, now) = (Timestamp::now(), Instant::now());
        open.into_iter()
            .for_each(|incident| incidents.resume(incident, at, now));
        Refusals { incidents }
    }

    /// It came so often; gives the report of that, if one is due.
    pub(super) fn note(
        &mut self,
        reason: Reason,
        times: u64,
        what: String,
        now: Instant,
    ) -> Option<IncidentReport> {
        if times == 0 {
            return None;
        }
        let seen = Seen {
            operation: Operation::Trap,
            error: reason.report(what),
            times,
        };
        let key = IncidentKey::about(IncidentKind::Trap, reason.as_str());
        self.incidents.raise(key, seen, Timestamp::now(), now)
    }

    /// The reports that have become due.
    pub(super) fn all_due(&mut self, now: Instant) -> Vec<IncidentReport> {
        self.incidents.due(Timestamp::now(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeadLetter;
    use crate::records::dead_letter;

    const REPEAT: Duration = Duration::from_secs(900);

    fn dead_letters<'r>(reports: impl IntoIterator<Item = &'r IncidentReport>) -> Vec<DeadLetter> {
        reports.into_iter().filter_map(dead_letter::of_incident).collect()
    }

    #[test]
    fn a_flood_gives_one_dead_letter_and_later_one_with_the_count() {
        let mut refusals = Refusals::new(REPEAT, Vec::new());
        let begin = Instant::now();
        let mut reports = Vec::new();
        for second in 0..1800 {
            let now = begin + Duration::from_secs(second);
            let what = format!("from 10.0.0.{second}");
            reports.extend(refusals.note(Reason::UnknownSender, 10, what, now));
            reports.extend(refusals.all_due(now));
        }
        reports.extend(refusals.all_due(begin + 2 * REPEAT));
        let dead_letters = dead_letters(&reports);
        let reported: Vec<_> = dead_letters
            .iter()
            .map(|dead_letter| (dead_letter.error.message.as_str(), dead_letter.repeats))
            .collect();
        let expected = [
            ("from 10.0.0.0", Some(10)),
            ("from 10.0.0.900", Some(9000)),
            ("from 10.0.0.1799", Some(8990)),
        ];
        assert_eq!(reported, expected);
        assert_eq!(dead_letters[0].first_at, dead_letters[2].first_at);
    }

    #[test]
    fn what_has_stopped_begins_again_as_a_new_one() {
        let mut refusals = Refusals::new(REPEAT, Vec::new());
        let begin = Instant::now();
        assert!(refusals.note(Reason::Overrun, 1, String::new(), begin).is_some());
        assert!(refusals.note(Reason::Overrun, 0, String::new(), begin).is_none());
        assert!(
            refusals
                .note(Reason::Credentials, 1, String::new(), begin)
                .is_some()
        );
        let due = refusals.all_due(begin + REPEAT);
        assert_eq!((due.len(), dead_letters(&due)), (2, vec![]));
        let report = refusals.note(Reason::Overrun, 1, String::new(), begin + REPEAT);
        let dead_letters = dead_letters(&report);
        assert_eq!(
            dead_letters.iter().map(|one| one.repeats).collect::<Vec<_>>(),
            [None]
        );
    }

    #[test]
    fn what_an_earlier_run_has_reported_is_no_new_one() {
        let mut refusals = Refusals::new(REPEAT, Vec::new());
        let first = refusals.note(Reason::Overrun, 1, String::new(), Instant::now());
        let open = first.into_iter().map(|report| report.incident).collect();
        let mut next = Refusals::new(REPEAT, open);
        let report = next.note(Reason::Overrun, 1, String::new(), Instant::now());
        assert_eq!(report, None);
    }
}
