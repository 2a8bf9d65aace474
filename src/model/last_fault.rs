//! The last fault of a relay: it stays to be seen when it is over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Position, Text};

/// When a relay was last in NC, and whether anybody has acknowledged that. As JSON it is on disk: later versions read it, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFault {
    /// When the bridge first saw it in NC.
    pub since: Timestamp,
    /// When the bridge saw it in NO again; `None` while it is in NC, or unknown.
    pub until: Option<Timestamp>,
    /// What made it fall.
    pub cause: Option<Text>,
    /// When it was acknowledged.
    pub acknowledged: Option<Acknowledged>,
}

/// Somebody has seen a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When the bridge was asked to note that.
    pub at: Timestamp,
    /// Who, as far as that was said.
    pub by: Option<Text>,
}

/// What is known of the cause of a fault at first, where nothing is.
const NOT_KNOWN: &str = "unknown";

impl LastFault {
    /// The last fault of a relay that is in this position since then, after `before`. One that becomes unknown and is then in NC
    /// again has the same fault all along: nobody has seen it end.
    pub fn after(
        before: Option<&LastFault>,
        position: Position,
        (since, cause): (Timestamp, Option<&str>),
        now: Timestamp,
    ) -> Option<LastFault> {
        let standing = before.filter(|fault| fault.until.is_none());
        match (position, standing) {
            (Position::Nc, Some(standing)) => {
                let is_known = standing.cause.as_deref().is_some_and(|cause| cause != NOT_KNOWN);
                Some(LastFault {
                    cause: standing
                        .cause
                        .clone()
                        .filter(|_| is_known)
                        .or(cause.map(Text::from)),
                    ..standing.clone()
                })
            }
            (Position::Nc, None) => Some(LastFault {
                since,
                until: None,
                cause: cause.map(Text::from),
                acknowledged: None,
            }),
            (Position::No, Some(standing)) => Some(LastFault {
                until: Some(now),
                ..standing.clone()
            }),
            (Position::No | Position::Unknown, _) => before.cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What a relay leaves that goes through these positions, one a second.
    fn faults(steps: &[(Position, Option<&str>)]) -> Vec<Option<(i64, Option<i64>, String)>> {
        let (mut fault, mut since, mut last) = (None, at(0), None);
        let steps = steps.iter().zip(0..);
        steps
            .map(|((position, cause), second)| {
                if last.replace(*position) != Some(*position) {
                    since = at(second);
                }
                fault = LastFault::after(fault.as_ref(), *position, (since, *cause), at(second));
                let fault = fault.clone()?;
                let until = fault.until.map(Timestamp::as_second);
                Some((
                    fault.since.as_second(),
                    until,
                    fault.cause.unwrap_or_default().into(),
                ))
            })
            .collect()
    }

    #[test]
    fn a_fault_lasts_from_nc_to_no() {
        let steps = [
            (Position::No, None),
            (Position::Nc, Some("unknown")),
            (Position::Nc, Some("clock-not-sync")),
            (Position::Nc, Some("antenna-faulty")),
            (Position::No, None),
            (Position::No, None),
            (Position::Nc, Some("antenna-faulty")),
        ];
        let fault = |since, until, cause: &str| Some((since, until, cause.to_owned()));
        let expected = [
            None,
            fault(1, None, "unknown"),
            fault(1, None, "clock-not-sync"),
            fault(1, None, "clock-not-sync"),
            fault(1, Some(4), "clock-not-sync"),
            fault(1, Some(4), "clock-not-sync"),
            fault(6, None, "antenna-faulty"),
        ];
        assert_eq!(faults(&steps), expected);
    }

    #[test]
    fn nobody_has_seen_a_fault_end_that_is_unknown_in_between() {
        let again = [
            (Position::Nc, Some("x")),
            (Position::Unknown, None),
            (Position::Nc, Some("x")),
        ];
        assert_eq!(faults(&again).pop().unwrap(), Some((0, None, "x".to_owned())));
        let over = [
            (Position::Nc, Some("x")),
            (Position::Unknown, None),
            (Position::No, None),
        ];
        assert_eq!(faults(&over).pop().unwrap(), Some((0, Some(2), "x".to_owned())));
    }

    #[test]
    fn a_fault_that_was_acknowledged_stays_so_and_the_next_one_is_not() {
        let acknowledged = Some(Acknowledged {
            at: at(3),
            by: Some("Ada".into()),
        });
        let standing = LastFault {
            since: at(1),
            until: None,
            cause: None,
            acknowledged: acknowledged.clone(),
        };
        let over = LastFault::after(Some(&standing), Position::No, (at(5), None), at(5)).unwrap();
        assert_eq!(over.acknowledged, acknowledged);
        let next = LastFault::after(Some(&over), Position::Nc, (at(6), None), at(6)).unwrap();
        assert_eq!(next.acknowledged, None);
    }
}
