//! The simulated document against recorded ones.

use crate::client::*;
use crate::recordings;
use lantime2mqtt::simulator::ApiGeneration::V10;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Key paths of a document with the types found there; entries of lists share a path.
fn form(value: &Value, path: &str, into: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    into.entry(path.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(values) => values
            .iter()
            .for_each(|value| form(value, &format!("{path}[]"), into)),
        Value::Object(entries) => {
            entries
                .iter()
                .for_each(|(key, value)| form(value, &format!("{path}/{key}"), into));
        }
        _ => (),
    }
}

fn form_of(document: &Value) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found = BTreeMap::new();
    form(document, "", &mut found);
    found
}

#[tokio::test]
async fn the_single_clock_document_has_the_recorded_form() {
    let entries = std::fs::read_dir(recordings::directory().join("recordings")).unwrap();
    let (_fleet, device, _client) = one(M500, V10).await;
    let ours: Value = serde_json::from_slice(&device.document()).unwrap();
    let mut compared = 0;
    for entry in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let recorded: Value = serde_json::from_slice(&std::fs::read(&entry).unwrap()).unwrap();
        if !recorded["data"]["rest-api"]["api-version"]
            .as_str()
            .unwrap()
            .starts_with("10.")
        {
            continue;
        }
        compared += 1;
        let recorded = form_of(&recorded);
        for (path, kinds) in form_of(&ours) {
            let known = recorded.get(&path);
            assert!(
                known.is_some_and(|known| kinds.is_subset(known)),
                "{path}: {kinds:?}, recorded {known:?}"
            );
        }
        let missing: Vec<_> = recorded
            .keys()
            .filter(|path| !form_of(&ours).contains_key(*path))
            .collect();
        assert!(missing.is_empty(), "recorded, but not simulated: {missing:?}");
    }
    assert!(compared > 0, "there is a recording of API 10");
}
