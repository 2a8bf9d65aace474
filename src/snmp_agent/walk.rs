//! Where things stand in the tree of OIDs: what follows what, in tables and among scalars. Pure.
//!
//! Positions are relative: `after` is what follows the arcs that lead here, and empty stands before everything.

use std::ops::RangeInclusive;

use async_snmp::Value;

use super::tables::Row;

/// A value and its place.
pub(super) type Found = (Vec<u32>, Value);

/// How a table is made: arc 1 for the entry, then column, then index.
const ENTRY: u32 = 1;

/// Where to go on below `arc`: at its beginning, within it, or `None` when all of it lies behind.
pub(super) fn below(after: &[u32], arc: u32) -> Option<&[u32]> {
    match after.split_first() {
        Some((first, _)) if *first > arc => None,
        Some((first, rest)) if *first == arc => Some(rest),
        _ => Some(&[]),
    }
}

/// A place below `arc`.
pub(super) fn under(arc: u32, (mut at, value): Found) -> Found {
    at.insert(0, arc);
    (at, value)
}

/// The cell at exactly that place. `rows` gives the rows whose index begins with a number or follows those, in order.
pub(super) fn cell<R, I: Iterator<Item = Row<R>>>(
    rows: impl Fn(u32) -> I,
    at: &[u32],
    value: impl Fn(&R, u32) -> Option<Value>,
) -> Option<Value> {
    let (ENTRY, [column, index @ ..]) = at.split_first().map(|(entry, rest)| (*entry, rest))? else {
        return None;
    };
    let mut rows = rows(*index.first()?);
    let (found, row) = rows.find(|(found, _)| found.as_slice() >= index)?;
    value(&row, *column).filter(|_| found == index)
}

/// The first cell behind that place: column by column, in each row by row.
pub(super) fn next_cell<R, I: Iterator<Item = Row<R>>>(
    rows: impl Fn(u32) -> I,
    columns: RangeInclusive<u32>,
    after: &[u32],
    value: impl Fn(&R, u32) -> Option<Value>,
) -> Option<Found> {
    let after = below(after, ENTRY)?;
    for column in columns {
        let Some(after) = below(after, column) else {
            continue;
        };
        let rest = rows(after.first().copied().unwrap_or_default());
        let mut rest = rest.filter(|(index, _)| index.as_slice() > after);
        let found = rest.find_map(|(index, row)| Some((index, value(&row, column)?)));
        if let Some((index, value)) = found {
            let at = [ENTRY, column].into_iter().chain(index).collect();
            return Some((at, value));
        }
    }
    None
}

/// The scalar at exactly that place: its number, then 0.
pub(super) fn scalar(at: &[u32], value: impl Fn(u32) -> Option<Value>) -> Option<Value> {
    match at {
        [number, 0] => value(*number),
        _ => None,
    }
}

/// The first scalar behind that place.
pub(super) fn next_scalar(
    mut numbers: RangeInclusive<u32>,
    after: &[u32],
    value: impl Fn(u32) -> Option<Value>,
) -> Option<Found> {
    numbers.find_map(|number| match below(after, number) {
        Some([]) => Some((vec![number, 0], value(number)?)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a cell shows its place; column 3 has a hole in row 2.
    fn sample(row: &i32, column: u32) -> Option<Value> {
        let column = i32::try_from(column).ok()?;
        (column <= 3 && (*row, column) != (2, 3)).then(|| Value::Integer(row * 10 + column))
    }

    fn rows(first: u32) -> impl Iterator<Item = Row<i32>> {
        let rows = [(vec![1], 1), (vec![1, 7], 17), (vec![2], 2)].into_iter();
        rows.filter(move |(index, _)| index[0] >= first)
    }

    #[test]
    fn a_walk_comes_by_every_cell_once_and_in_order() {
        let mut at = Vec::new();
        let mut seen = Vec::new();
        while let Some((next, value)) = next_cell(rows, 2..=3, &at, sample) {
            assert!(next > at, "{next:?} does not follow {at:?}");
            assert_eq!(cell(rows, &next, sample), Some(value.clone()));
            seen.push(value);
            at = next;
        }
        let expected = [12, 172, 22, 13, 173].map(Value::Integer);
        assert_eq!(seen, expected);
    }

    #[test]
    fn any_place_has_what_follows_it() {
        for (after, expected) in [
            (&[0][..], Some(12)),
            (&[1], Some(12)),
            (&[1, 1, 9, 9], Some(12)),
            (&[1, 2], Some(12)),
            (&[1, 2, 0], Some(12)),
            (&[1, 2, 1, 6], Some(172)),
            (&[1, 2, 1, 8], Some(22)),
            (&[1, 2, 2, 0], Some(13)),
            (&[1, 3, 1, 7], None),
            (&[1, 4], None),
            (&[2], None),
        ] {
            let next = next_cell(rows, 2..=3, after, sample).map(|(_, value)| value);
            assert_eq!(next, expected.map(Value::Integer), "{after:?}");
        }
    }

    #[test]
    fn what_is_no_cell_has_no_value() {
        for at in [&[][..], &[1], &[1, 2], &[2, 2, 1], &[1, 4, 1], &[1, 2, 1, 8]] {
            assert_eq!(cell(rows, at, sample), None, "{at:?}");
        }
    }

    #[test]
    fn scalars_follow_one_another() {
        let value = |number| Some(Value::Gauge32(number));
        let next = |after: &[u32]| next_scalar(1..=2, after, value).map(|(at, _)| at);
        assert_eq!(next(&[]), Some(vec![1, 0]));
        assert_eq!(next(&[1]), Some(vec![1, 0]));
        assert_eq!(next(&[1, 0]), Some(vec![2, 0]));
        assert_eq!(next(&[1, 5, 5]), Some(vec![2, 0]));
        assert_eq!(next(&[2, 0]), None);
        assert_eq!(scalar(&[2, 0], value), Some(Value::Gauge32(2)));
        assert_eq!(scalar(&[2], value), None);
        assert_eq!(scalar(&[2, 0, 0], value), None);
    }
}
