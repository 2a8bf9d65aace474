//! From entries to spans: what was how, from when to when, without gap or overlap. Pure.
//!
//! Entries are in order of arrival (in a cluster, of their times), and a clock may have been set in between. The later entry is believed: what an earlier
//! one says of a time after it does not count.

use jiff::Timestamp;

use super::{Entry, Value};
use crate::model::{Provenance, Text};

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The beginning.
    pub from: Timestamp,
    /// The end, which is not before it.
    pub to: Timestamp,
}

/// A time in which something did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub at: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// What it was.
    pub value: Value,
    /// Why.
    pub cause: Option<Text>,
    /// How that is known, of relays and signals.
    pub provenance: Option<Provenance>,
}

impl Span {
    fn of(at: Timestamp, until: Timestamp, value: Value) -> Span {
        Span {
            at,
            until,
            value,
            cause: None,
            provenance: None,
        }
    }

    fn is_same(&self, other: &Span) -> bool {
        (self.value, &self.cause, self.provenance) == (other.value, &other.cause, other.provenance)
    }
}

/// The spans in that window of a subject with these entries, oldest first. Before the first entry it was what that says, and
/// without any entry it has been `now` all the time.
pub(super) fn spans(entries: &[Entry], now: Value, window: Window) -> Vec<Span> {
    let times = times(entries, window);
    let first = entries.first().map_or(now, |entry| entry.old);
    let mut spans = vec![Span::of(window.from, window.to, first)];
    for (entry, at) in entries.iter().zip(times) {
        if let Some(last) = spans.last_mut() {
            last.until = at;
        }
        spans.push(Span {
            cause: entry.cause.clone(),
            provenance: entry.provenance,
            ..Span::of(at, window.to, entry.new)
        });
    }
    joined(spans)
}

/// When each entry begins to count, within the window: none after the one that follows it.
fn times(entries: &[Entry], window: Window) -> Vec<Timestamp> {
    let mut until = window.to;
    let mut times: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| {
            until = until.min(entry.at);
            until.max(window.from)
        })
        .collect();
    times.reverse();
    times
}

/// The times in which nobody watched the device with these entries.
pub(super) fn not_observed(entries: &[Entry], window: Window) -> Vec<Span> {
    let mut free = window.from;
    let mut pauses = Vec::new();
    for (entry, at) in entries.iter().zip(times(entries, window)) {
        let since = entry.not_observed_since.map(|since| since.max(free));
        if let Some(since) = since.filter(|since| *since < at) {
            pauses.push(Span::of(since, at, Value::NotObserved));
            free = at;
        }
    }
    pauses
}

/// Until when nothing is known of the device with these entries: nothing was kept, or nobody had seen it.
pub(super) fn not_kept(entries: &[Entry], kept_since: Option<Timestamp>, window: Window) -> Option<Span> {
    let first = entries.first().filter(|entry| entry.old == Value::Unknown);
    let first = first.and_then(|_| times(entries, window).first().copied());
    let until = match kept_since {
        Some(kept_since) => first.unwrap_or(kept_since).max(kept_since),
        None => window.to,
    };
    let until = until.min(window.to);
    (until > window.from).then(|| Span::of(window.from, until, Value::NotKept))
}

/// The same spans, but for the times of `above`, which are in order and do not overlap.
pub(super) fn covered(spans: &[Span], above: &[Span]) -> Vec<Span> {
    let mut all = above.to_vec();
    let mut first = 0;
    for span in spans {
        while above.get(first).is_some_and(|above| above.until <= span.at) {
            first += 1;
        }
        let mut at = span.at;
        for above in above[first..].iter().take_while(|above| above.at < span.until) {
            let until = above.at;
            all.extend((at < until).then(|| Span {
                at,
                until,
                ..span.clone()
            }));
            at = at.max(above.until);
        }
        let until = span.until;
        all.extend((at < until).then(|| Span {
            at,
            until,
            ..span.clone()
        }));
    }
    all.sort_by_key(|span| span.at);
    joined(all)
}

/// Spans of one value after one another, whatever their causes.
pub(super) fn runs(spans: &[Span]) -> impl Iterator<Item = &[Span]> {
    spans.chunk_by(|one, next| one.value == next.value)
}

/// Those that take any time; of some that say the same after one another, one.
fn joined(spans: Vec<Span>) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for span in spans.into_iter().filter(|span| span.at < span.until) {
        match all.last_mut() {
            Some(last) if last.is_same(&span) => last.until = span.until,
            _ => all.push(span),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(second: i64, old: Value, new: Value) -> Entry {
        Entry {
            id: Uuid::nil(),
            at: at(second),
            subject: "m1/io3/a".parse().unwrap(),
            old,
            new,
            provenance: None,
            cause: None,
            driven_by: None,
            takeover: false,
            not_observed_since: None,
        }
    }

    fn window(from: i64, to: i64) -> Window {
        Window {
            from: at(from),
            to: at(to),
        }
    }

    fn shown(spans: &[Span]) -> Vec<(i64, i64, &'static str)> {
        let shown = |span: &Span| (span.at.as_second(), span.until.as_second(), span.value.as_str());
        spans.iter().map(shown).collect()
    }

    #[test]
    fn a_window_is_covered_from_what_was_before_it_on() {
        let fell = entry(10, Value::No, Value::Nc);
        let rose = entry(20, Value::Nc, Value::No);
        let both = [fell.clone(), rose];
        let of = |entries: &[Entry], from, to| spans(entries, Value::Unknown, window(from, to));
        assert_eq!(
            shown(&of(&both, 0, 30)),
            [(0, 10, "NO"), (10, 20, "NC"), (20, 30, "NO")]
        );
        assert_eq!(shown(&of(&both, 12, 15)), [(12, 15, "NC")]);
        assert_eq!(shown(&of(&[fell], 12, 15)), [(12, 15, "NC")], "it stands still");
        assert_eq!(shown(&of(&both, 2, 5)), [(2, 5, "NO")]);
        assert_eq!(shown(&of(&[], 2, 5)), [(2, 5, "unknown")]);
    }

    #[test]
    fn the_later_entry_is_believed_where_a_clock_was_set() {
        let entries = [
            entry(10, Value::No, Value::Nc),
            entry(500, Value::Nc, Value::Unknown),
            entry(12, Value::Unknown, Value::No),
        ];
        let found = spans(&entries, Value::Unknown, window(0, 600));
        assert_eq!(shown(&found), [(0, 10, "NO"), (10, 12, "NC"), (12, 600, "NO")]);
    }

    #[test]
    fn a_time_in_which_nobody_watched_and_one_that_is_not_kept_are_known() {
        let first = entry(10, Value::Unknown, Value::Online);
        let mut again = entry(50, Value::Online, Value::Online);
        again.not_observed_since = Some(at(30));
        let entries = [first, again];
        let wide = window(0, 100);
        assert_eq!(shown(&not_observed(&entries, wide)), [(30, 50, "not-observed")]);
        assert_eq!(
            shown(&not_observed(&entries, window(40, 45))),
            [(40, 45, "not-observed")]
        );
        let until = |kept_since: Option<i64>, entries: &[Entry]| {
            let span = not_kept(entries, kept_since.map(at), wide)?;
            Some(span.until.as_second())
        };
        assert_eq!(until(Some(5), &entries), Some(10), "nobody had seen it");
        assert_eq!(until(Some(20), &entries), Some(20));
        assert_eq!(until(Some(20), &entries[1..]), Some(20));
        assert_eq!(until(Some(-5), &entries[1..]), None);
        assert_eq!(until(None, &entries), Some(100), "there is no history");
        let above = not_observed(&entries, wide);
        let below = spans(&entries, Value::Unknown, wide);
        assert_eq!(
            shown(&covered(&below, &above)),
            [
                (0, 10, "unknown"),
                (10, 30, "online"),
                (30, 50, "not-observed"),
                (50, 100, "online")
            ]
        );
    }

    fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
        let value = prop::sample::select(vec![Value::No, Value::Nc, Value::Unknown, Value::Offline]);
        let parts = (0..100_i64, value.clone(), value, prop::option::of(0..100_i64));
        let any = parts.prop_map(|(second, old, new, since)| Entry {
            not_observed_since: since.map(at),
            ..entry(second, old, new)
        });
        prop::collection::vec(any, 0..12)
    }

    proptest! {
        #[test]
        fn spans_cover_the_window_in_order_without_gap_or_overlap(
            below in any_entries(),
            above in any_entries(),
            from in 0..100_i64,
            length in 1..100_i64,
        ) {
            let window = window(from, from + length);
            let mut masks = spans(&above, Value::Unknown, window);
            masks.retain(|span| span.value == Value::Offline);
            let base = spans(&below, Value::Unknown, window);
            let masked = covered(&base, &masks);
            let pauses = not_observed(&above, window);
            let all = covered(&masked, &pauses);
            for spans in [&base, &masked, &all] {
                prop_assert_eq!(spans.first().map(|span| span.at), Some(window.from));
                prop_assert_eq!(spans.last().map(|span| span.until), Some(window.to));
                for pair in spans.windows(2) {
                    prop_assert_eq!(pair[0].until, pair[1].at);
                    prop_assert!(!pair[0].is_same(&pair[1]));
                }
                prop_assert!(spans.iter().all(|span| span.at < span.until));
            }
        }
    }
}
