//! Dead letters about what was not taken: one when it begins, one each `repeat` while it goes on. Whoever sends can
//! make them neither more nor many, and learns nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{DeadLetter, ErrorKind, ErrorReport, Operation};
use crate::records::dead_letter;

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
                "this is a replay, or an agent that has started anew without counting its engine boots up: it is taken again once the device's REST API shows that it has restarted, or after a restart of the bridge",
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

#[derive(Debug)]
struct Standing {
    /// What was last said of it.
    what: String,
    /// How often it came since it was last told.
    untold: u64,
    first_at: Timestamp,
    told: Instant,
}

/// What was told of what was not taken.
#[derive(Debug)]
pub(super) struct Refusals {
    repeat: Duration,
    standing: BTreeMap<Reason, Standing>,
}

impl Refusals {
    pub(super) fn new(repeat: Duration) -> Refusals {
        Refusals {
            repeat,
            standing: BTreeMap::new(),
        }
    }

    /// It came so often. The letter about it, if one is due.
    pub(super) fn note(
        &mut self,
        reason: Reason,
        times: u64,
        what: String,
        now: Instant,
    ) -> Option<DeadLetter> {
        if times == 0 {
            return None;
        }
        if let Some(standing) = self.standing.get_mut(&reason) {
            standing.what = what;
            standing.untold += times;
            return self.due(reason, now);
        }
        let at = Timestamp::now();
        let letter = dead_letter::new(Operation::Trap, reason.report(what.clone()), at);
        let standing = Standing {
            what,
            untold: 0,
            first_at: at,
            told: now,
        };
        self.standing.insert(reason, standing);
        Some(DeadLetter {
            repeats: (times > 1).then_some(times),
            ..letter
        })
    }

    /// The letters that have become due; what has not come again for so long is forgotten.
    pub(super) fn all_due(&mut self, now: Instant) -> Vec<DeadLetter> {
        let reasons: Vec<_> = self.standing.keys().copied().collect();
        let letters = reasons
            .into_iter()
            .filter_map(|reason| self.due(reason, now))
            .collect();
        let repeat = self.repeat;
        self.standing
            .retain(|_, standing| standing.untold > 0 || now.duration_since(standing.told) < repeat);
        letters
    }

    fn due(&mut self, reason: Reason, now: Instant) -> Option<DeadLetter> {
        let repeat = self.repeat;
        let standing = self.standing.get_mut(&reason)?;
        if standing.untold == 0 || now.duration_since(standing.told) < repeat {
            return None;
        }
        standing.told = now;
        let report = reason.report(standing.what.clone());
        Some(DeadLetter {
            first_at: standing.first_at,
            repeats: Some(std::mem::take(&mut standing.untold)),
            ..dead_letter::new(Operation::Trap, report, Timestamp::now())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEAT: Duration = Duration::from_secs(900);

    #[test]
    fn a_flood_gives_one_letter_and_later_one_with_the_count() {
        let mut refusals = Refusals::new(REPEAT);
        let begin = Instant::now();
        let mut letters = Vec::new();
        for second in 0..1800 {
            let now = begin + Duration::from_secs(second);
            let what = format!("from 10.0.0.{second}");
            letters.extend(refusals.note(Reason::UnknownSender, 10, what, now));
            letters.extend(refusals.all_due(now));
        }
        letters.extend(refusals.all_due(begin + 2 * REPEAT));
        let told: Vec<_> = letters
            .iter()
            .map(|letter| (letter.error.message.as_str(), letter.repeats))
            .collect();
        let expected = [
            ("from 10.0.0.0", Some(10)),
            ("from 10.0.0.900", Some(9000)),
            ("from 10.0.0.1799", Some(8990)),
        ];
        assert_eq!(told, expected);
        assert_eq!(letters[0].first_at, letters[2].first_at);
    }

    #[test]
    fn what_has_stopped_begins_anew() {
        let mut refusals = Refusals::new(REPEAT);
        let begin = Instant::now();
        assert!(refusals.note(Reason::Overrun, 1, String::new(), begin).is_some());
        assert!(refusals.note(Reason::Overrun, 0, String::new(), begin).is_none());
        assert!(
            refusals
                .note(Reason::Credentials, 1, String::new(), begin)
                .is_some()
        );
        assert!(refusals.all_due(begin + REPEAT).is_empty());
        let letter = refusals.note(Reason::Overrun, 1, String::new(), begin + REPEAT);
        assert_eq!(letter.map(|letter| letter.repeats), Some(None));
    }
}
