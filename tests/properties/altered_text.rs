//! Text that firmware, buffers and editors alter: whatever is malformed in a status document costs at most its field,
//! wherever it stands.

use lantime2mqtt::model::{DeviceView, Position, SlotId, SlotState, UnknownReason};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::any::{any_json, document};
use super::config;
use super::odd_value::document_and_field;
use super::poll::{snapshot, snapshot_of, view};

/// What C's `printf` and other writers put in place of a number.
const WORDS: &[&str] = &[
    "nan",
    "-nan",
    "NAN",
    "NaN",
    "inf",
    "-inf",
    "INF",
    "infinity",
    "-Infinity",
    "nan(0x7ff8)",
    "-nan(ind)",
    "1e999",
    "007",
    "undefined",
];
/// Pieces of a text as they are sent, and as they are read.
const PIECES: &[(&[u8], &str)] = &[
    (b"synchronized", "synchronized"),
    (b"2026-02-10T09:45:48", "2026-02-10T09:45:48"),
    (b"nan, inf: {[\\\"]}", "nan, inf: {[\"]}"),
    (b"\x01\x1b\x1f", "\u{1}\u{1b}\u{1f}"),
    (b"a\tb\r\n", "a\tb\r\n"),
    (b"\x00", "\0"),
    (b"M\xfcnchen", "M\u{fffd}nchen"),
    (b"\xef\xbb\xbf", "\u{feff}"),
    (b"C:\\dev\\x41", "C:\u{fffd}dev\u{fffd}x41"),
    (b"\\ud800", "\u{fffd}ud800"),
];
/// What stands between values, and means nothing.
const BLANKS: &[&str] = &[
    "\0",
    "\u{feff}",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    "\u{1a}",
    "\0\r\n \0",
];

/// What buffers leave behind a text.
const ENDS: &[&str] = &["\0", "\u{1}", "\r\n", "\0\u{1b} \0"];

/// What stands in place of a character that was lost.
const DAMAGE: &[&str] = &["\0", "\u{1}", "\u{fffd}", "\u{7f}"];

/// A value as it is sent, and as it is read.
fn sent() -> impl Strategy<Value = (Vec<u8>, Value)> {
    let text = vec(select(PIECES), 1..4).prop_map(|pieces| {
        let (sent, read): (Vec<_>, String) = pieces.into_iter().unzip();
        ([b"\"", &*sent.concat(), b"\""].concat(), read.into())
    });
    let word = select(WORDS).prop_map(|word| (word.into(), Value::Null));
    prop_oneof![word, text]
}

/// The pointers of all values that are none or all objects.
fn pointers(node: &Value, of_objects: bool) -> Vec<String> {
    let children: Vec<(String, &Value)> = match node {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let is_wanted = if of_objects {
        node.is_object()
    } else {
        !node.is_object() && !node.is_array()
    };
    let below = children.into_iter().flat_map(|(key, value)| {
        let below = pointers(value, of_objects).into_iter();
        below.map(move |rest| format!("/{key}{rest}"))
    });
    is_wanted.then(String::new).into_iter().chain(below).collect()
}

/// The text of a document in which each text `from` stands for those bytes.
fn text(document: &Value, replaced: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut text = document.to_string().into_bytes();
    for (from, to) in replaced {
        let from = Value::from(from.as_str()).to_string().into_bytes();
        let at = text.windows(from.len()).position(|window| window == from);
        let at = at.expect("it is in the text");
        text.splice(at..at + from.len(), to.iter().copied());
    }
    text
}

/// Puts `end` behind every text of a document.
fn end_texts(node: &mut Value, end: &str) {
    match node {
        Value::String(text) => text.push_str(end),
        Value::Object(map) => map.values_mut().for_each(|value| end_texts(value, end)),
        Value::Array(list) => list.iter_mut().for_each(|value| end_texts(value, end)),
        _ => (),
    }
}

/// The pointer of the first slot that holds a relay module, and its id.
fn relay_slot(document: &Value) -> (String, SlotId) {
    let slots = document["data"]["chassis0"]["slots"].as_array().expect("a list");
    let holds = |slot: &Value| slot["module"]["info"]["model"] == "rel1000";
    let index = slots
        .iter()
        .position(holds)
        .expect("each simulated device has one");
    let id = slots[index]["slot-id"].as_str().and_then(SlotId::new);
    (format!("/data/chassis0/slots/{index}"), id.expect("an id"))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_follows_a_text_in_its_buffer_is_no_part_of_it(mut document in document(), end in select(ENDS)) {
        let expected = snapshot(&document);
        end_texts(&mut document, end);
        prop_assert_eq!(snapshot(&document), expected);
    }

    #[test]
    fn a_damaged_name_is_not_that_of_another_event(
        mut document in document(),
        place in any::<Index>(),
        damage in select(DAMAGE),
    ) {
        let mut expected = snapshot(&document);
        let place = place.index(expected.events.len());
        let name = &mut document["data"]["notification"]["events"][place]["object-id"];
        *name = name.as_str().expect("a text").replacen(['o', 'e'], damage, 1).into();
        prop_assume!(name.as_str().is_some_and(|name| name.contains(damage)));
        let mut events = expected.events.to_vec();
        events.remove(place);
        expected.events = events.into();
        let mut read = snapshot(&document);
        prop_assert_eq!(read.notes.len(), 1, "{:?}", &read.notes);
        read.notes.clear();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_module_whose_model_is_damaged_is_still_there(
        mut document in document(),
        damage in select(DAMAGE),
    ) {
        let before = view(&snapshot(&document), &DeviceView::default());
        let (slot, id) = relay_slot(&document);
        document.pointer_mut(&slot).expect("it is there")["module"]["info"]["model"] = format!("rel{damage}000").into();
        let read = snapshot(&document);
        prop_assert_eq!((read.module(&id), read.all_slots_seen), (None, false));
        let after = view(&read, &before);
        prop_assert!(after.slots.keys().eq(before.slots.keys()), "nothing is cleared");
        let (old, slot) = (&before.slots[&id], &after.slots[&id]);
        prop_assert_eq!((slot.state, &slot.module), (SlotState::Online, &old.module));
        for relay in slot.relays.values() {
            prop_assert_eq!((relay.position, relay.unknown_reason), (Position::Unknown, Some(UnknownReason::Unclear)));
        }
    }

    #[test]
    fn malformed_values_cost_their_fields_only(
        document in document(),
        places in vec((any::<Index>(), sent()), 1..5),
    ) {
        let pointers = pointers(&document, false);
        let (mut marked, mut expected) = (document.clone(), document);
        let mut replaced: Vec<(String, Vec<u8>)> = Vec::new();
        for (number, (place, (sent, read))) in places.into_iter().enumerate() {
            let pointer = &pointers[place.index(pointers.len())];
            let mark = format!("<{number}>");
            *expected.pointer_mut(pointer).expect("it is there") = read;
            let before = std::mem::replace(marked.pointer_mut(pointer).expect("it is there"), mark.clone().into());
            // The same place again: only the last one is written.
            replaced.retain(|(other, _)| before != other.as_str());
            replaced.push((mark, sent));
        }
        let mut read = snapshot_of(&text(&marked, &replaced));
        let mut expected = snapshot(&expected);
        read.notes.clear();
        expected.notes.clear();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_word_in_place_of_a_field_costs_that_field_only(
        (mut document, field) in document_and_field(),
        word in select(WORDS),
    ) {
        let mut expected = snapshot(&document);
        let base = expected.clone();
        let (parent, key) = field.parent_and_key(&document);
        document.pointer_mut(&parent).expect("it is there")[key] = "<0>".into();
        let mut read = snapshot_of(&text(&document, &[("<0>".to_owned(), word.into())]));
        prop_assert!(!field.is_expected() || read.notes.len() == 2, "one of the text, one of the field: {:?}", read.notes);
        read.notes.clear();
        field.forget(&mut expected, &base);
        read.clocks.iter_mut().for_each(|clock| clock.is_malformed = false);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn of_a_key_that_comes_twice_the_last_one_counts(
        mut document in document(),
        place in any::<Index>(),
        key in any::<Index>(),
        first in any_json(),
    ) {
        let base = snapshot(&document);
        let pointers = pointers(&document, true);
        let object = document.pointer_mut(&pointers[place.index(pointers.len())]).and_then(Value::as_object_mut).expect("an object");
        prop_assume!(!object.is_empty());
        let key = object.keys().nth(key.index(object.len())).expect("below the length").clone();
        // Written before all others.
        object.insert("!".to_owned(), first);
        let twice = text(&document, &[("!".to_owned(), Value::from(key).to_string().into_bytes())]);
        prop_assert_eq!(snapshot_of(&twice), base);
    }

    #[test]
    fn what_stands_between_values_costs_nothing(
        document in document(),
        places in vec((any::<Index>(), select(BLANKS)), 0..5),
        before in select(BLANKS),
        after in select(BLANKS),
    ) {
        let pretty = serde_json::to_string_pretty(&document).expect("it is JSON");
        let mut lines: Vec<String> = pretty.lines().map(str::to_owned).collect();
        for (place, blank) in places {
            let place = place.index(lines.len());
            lines[place].push_str(blank);
        }
        let altered = format!("{before}{}{after}", lines.join("\n"));
        let mut read = snapshot_of(altered.as_bytes());
        prop_assert_eq!(read.notes.len(), 1, "{:?}", &read.notes);
        read.notes.clear();
        prop_assert_eq!(read, snapshot(&document));
    }
}
