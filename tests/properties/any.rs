//! Documents and values to try.

use std::sync::LazyLock;

use lantime2mqtt::simulator::{Fleet, FleetOptions};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// What simulated devices of every kind answer.
pub(crate) static DOCUMENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let kinds = FleetOptions::default().kinds;
        let options = FleetOptions {
            devices: kinds.len(),
            kinds,
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(options).await.expect("free ports are found");
        let documents = fleet.devices().iter().map(|device| {
            let body = device.document();
            serde_json::from_slice(&body).expect("a simulated document is JSON")
        });
        let documents = documents.collect();
        fleet.stop().await;
        documents
    })
});

pub(crate) fn document() -> impl Strategy<Value = Value> {
    (0..DOCUMENTS.len()).prop_map(|index| DOCUMENTS[index].clone())
}

/// Keys that lead somewhere, and others.
pub(crate) fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "system-information",
        "API Version",
        "version",
        "hostname",
        "model",
        "data",
        "rest-api",
        "api-version",
        "notification",
        "events",
        "object-id",
        "type",
        "triggered",
        "last-triggered",
        "chassis0",
        "slots",
        "slot-id",
        "module",
        "info",
        "serial-number",
        "sync-status",
        "clock-idx",
        "clock-status",
        "clock",
        "grc",
        "antenna",
        "connected",
        "relays",
        "relay-a",
        "state",
    ];
    prop_oneof![9 => select(KNOWN).prop_map(str::to_owned), 1 => any::<String>()]
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "clk1",
        "clk2",
        "io3",
        "rel1000",
        "rsc",
        "synchronized",
        "not-synchronized",
        "selected",
        "no",
        "nc",
        "never",
        "2026-02-10T09:45:48",
        "-009999-01-01T00:00:00",
        "9999-12-31T23:59:59",
        "10.21.016",
        "ntp-not-sync",
        "faillock:-user-banned",
        "N/A",
        "",
    ];
    prop_oneof![
        select(KNOWN).prop_map(str::to_owned),
        any::<String>(),
        "[a-z]{250,270}"
    ]
}

pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..2).prop_map(Value::from),
        text().prop_map(Value::from),
    ]
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 128, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(key(), inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Something under `data` that may well be understood.
pub(crate) fn any_status() -> impl Strategy<Value = Value> {
    (any_json(), vec(any_json(), 0..4), vec(any_json(), 0..4)).prop_map(|(system, events, slots)| {
        json!({
            "system-information": system,
            "data": { "notification": { "events": events }, "chassis0": { "slots": slots } },
        })
    })
}
