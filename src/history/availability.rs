//! How long something was how: figures of spans. Pure.

use jiff::{SignedDuration, Timestamp};

use super::Value;
use super::spans::{Span, runs};

/// How long a relay was how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// In normal operation.
    pub no: SignedDuration,
    /// In a fault.
    pub nc: SignedDuration,
    /// Its position was not known.
    pub unknown: SignedDuration,
    /// The device or slot was offline.
    pub offline: SignedDuration,
    /// Nobody watched.
    pub not_observed: SignedDuration,
    /// It is not kept how it was.
    pub not_kept: SignedDuration,
    /// How often it was in a fault.
    pub faults: usize,
    /// From when to when it was so longest.
    pub longest_fault: Option<(Timestamp, Timestamp)>,
}

impl Figures {
    /// Of a relay with these spans.
    pub fn of(spans: &[Span]) -> Figures {
        let mut figures = Figures::default();
        for span in spans {
            *figures.time_of(span.value) += span.until.duration_since(span.at);
        }
        // Another cause is no other fault.
        for fault in runs(spans).filter(|run| run[0].value == Value::Nc) {
            figures.faults += 1;
            let times = (fault[0].at, fault[fault.len() - 1].until);
            figures.longest_fault = longer(figures.longest_fault, times);
        }
        figures
    }

    fn time_of(&mut self, value: Value) -> &mut SignedDuration {
        match value {
            Value::No => &mut self.no,
            Value::Nc => &mut self.nc,
            Value::Offline => &mut self.offline,
            Value::NotObserved => &mut self.not_observed,
            Value::NotKept => &mut self.not_kept,
            _ => &mut self.unknown,
        }
    }

    /// The part of the time in normal operation, of all in which the position was known.
    pub fn availability(&self) -> Option<f64> {
        let known = self.no + self.nc;
        (!known.is_zero()).then(|| self.no.as_secs_f64() / known.as_secs_f64())
    }
}

fn longer(
    before: Option<(Timestamp, Timestamp)>,
    now: (Timestamp, Timestamp),
) -> Option<(Timestamp, Timestamp)> {
    let length = |(at, until): (Timestamp, Timestamp)| until.duration_since(at);
    let stays = before.filter(|before| length(*before) >= length(now));
    stays.or(Some(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(at: i64, until: i64, value: Value, cause: Option<&str>) -> Span {
        let second = |second| Timestamp::from_second(second).unwrap();
        Span {
            at: second(at),
            until: second(until),
            value,
            cause: cause.map(Into::into),
            provenance: None,
        }
    }

    #[test]
    fn times_and_faults_are_counted() {
        let spans = [
            span(0, 5, Value::NotKept, None),
            span(5, 15, Value::No, None),
            span(15, 20, Value::Nc, Some("clock-not-sync")),
            span(20, 45, Value::Nc, Some("antenna-faulty")),
            span(45, 50, Value::Offline, None),
            span(50, 51, Value::Unknown, None),
            span(51, 60, Value::Nc, None),
            span(60, 67, Value::NotObserved, None),
            span(67, 117, Value::No, None),
        ];
        let figures = Figures::of(&spans);
        let seconds = SignedDuration::from_secs;
        let expected = Figures {
            no: seconds(60),
            nc: seconds(39),
            unknown: seconds(1),
            offline: seconds(5),
            not_observed: seconds(7),
            not_kept: seconds(5),
            faults: 2,
            longest_fault: Some((spans[2].at, spans[3].until)),
        };
        assert_eq!(figures, expected);
        assert_eq!(figures.availability(), Some(60.0 / 99.0));
        assert_eq!(Figures::of(&spans[..1]).availability(), None);
    }
}
