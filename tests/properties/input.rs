//! Answers of a device: any at all, damaged ones, and whole ones.

use lantime2mqtt::lantime::rest::Profiles;
use lantime2mqtt::model::{DeviceView, diff};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::any::{any_json, any_status, document};
use super::config;
use super::poll::{poll, snapshot, view};

/// Goes down from the top, at each level into the child that the next index chooses, and puts `value`
/// where the path ends, or removes what is there.
fn mutate(node: &mut Value, path: &[Index], value: Option<Value>) {
    match (node, path) {
        (Value::Object(map), [index, rest @ ..]) if !map.is_empty() => {
            let key = map
                .keys()
                .nth(index.index(map.len()))
                .expect("below the length")
                .clone();
            match (rest, value) {
                ([], None) => drop(map.remove(&key)),
                (_, value) => mutate(&mut map[&key], rest, value),
            }
        }
        (Value::Array(list), [index, rest @ ..]) if !list.is_empty() => {
            let place = index.index(list.len());
            match (rest, value) {
                ([], None) => drop(list.remove(place)),
                (_, value) => mutate(&mut list[place], rest, value),
            }
        }
        (node, _) => *node = value.unwrap_or_default(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_can_be_read(body in vec(any::<u8>(), 0..256)) {
        poll(&body, &Profiles::built_in());
    }

    #[test]
    fn any_json_can_be_read(document in prop_oneof![any_json(), any_status()]) {
        poll(document.to_string().as_bytes(), &Profiles::built_in());
    }

    #[test]
    fn a_document_can_be_cut_or_damaged_anywhere(
        document in document(),
        end in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 0..8),
    ) {
        let mut body = document.to_string().into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        poll(&body, &Profiles::built_in());
        body.truncate(end.index(body.len()));
        poll(&body, &Profiles::built_in());
    }

    #[test]
    fn keys_may_be_missing_and_values_be_others(
        document in document(),
        mutations in vec((vec(any::<Index>(), 1..8), option::of(any_json())), 1..6),
    ) {
        let mut mutated = document;
        for (path, value) in mutations {
            mutate(&mut mutated, &path, value);
        }
        poll(mutated.to_string().as_bytes(), &Profiles::built_in());
    }

    #[test]
    fn equal_documents_give_equal_snapshots_and_no_changes(document in document()) {
        let (one, two) = (snapshot(&document), snapshot(&document));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(&one.notes, &[""; 0], "a simulated device is understood completely");
        let old = view(&one, &DeviceView::default());
        prop_assert_eq!(diff(&old, &view(&two, &old)), []);
    }
}

/// Seeds of the fuzzer, and what it once broke: those have names, unlike what it adds while it runs.
#[test]
fn the_fuzzers_corpus_can_be_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/status_document");
    let files = std::fs::read_dir(folder).expect("the corpus is there");
    let paths = files.map(|file| file.expect("a folder can be listed").path());
    let named = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let bodies: Vec<_> = named
        .map(|path| std::fs::read(path).expect("a seed can be read"))
        .collect();
    assert!(bodies.len() >= 12, "{} seeds", bodies.len());
    bodies.iter().for_each(|body| poll(body, &Profiles::built_in()));
}
