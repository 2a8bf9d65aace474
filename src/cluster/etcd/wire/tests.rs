use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cluster::etcd::keys::{Entry, Keys, LeaseId};
use crate::cluster::etcd::transaction::{Compare, Operation, request};

fn json(request: &impl Serialize) -> Value {
    serde_json::to_value(request).unwrap()
}

#[test]
fn a_range_leaves_out_what_is_zero() {
    let range = |keys: Keys, limit| {
        json(&RangeRequest {
            keys: keys.range(),
            limit,
            revision: 0,
            count_only: false,
        })
    };
    assert_eq!(
        range(Keys::one("a"), 0),
        json!({"key": "YQ==", "count_only": false})
    );
    let expected = json!({"key": "YQ==", "range_end": "Yg==", "limit": "128", "count_only": false});
    assert_eq!(range(Keys::prefix("a"), 128), expected);
}

#[test]
fn a_transaction_is_written_as_etcd_reads_it() {
    let key = || b"a".to_vec();
    let compares = [
        Compare::CreatedAt(key(), i64::MAX),
        Compare::Present(key()),
        Compare::Value(key(), b"b".to_vec()),
        Compare::Lease(key(), LeaseId(7)),
    ];
    let success = [Operation::Put {
        key: key(),
        value: b"b".to_vec(),
        lease: Some(LeaseId(7)),
    }];
    let failure = [Operation::Delete(Keys::one("a"))];
    let expected = json!({
        "compare": [
            {"key": "YQ==", "result": "EQUAL", "target": "CREATE", "create_revision": "9223372036854775807"},
            {"key": "YQ==", "result": "GREATER", "target": "CREATE", "create_revision": "0"},
            {"key": "YQ==", "result": "EQUAL", "target": "VALUE", "value": "Yg=="},
            {"key": "YQ==", "result": "EQUAL", "target": "LEASE", "lease": "7"},
        ],
        "success": [{"request_put": {"key": "YQ==", "value": "Yg==", "lease": "7"}}],
        "failure": [{"request_delete_range": {"key": "YQ=="}}],
    });
    assert_eq!(json(&request(&compares, &success, &failure)), expected);
}

#[test]
fn what_an_answer_leaves_out_is_zero() {
    let answer: RangeAnswer =
        serde_json::from_value(json!({"header": {"revision": "1"}, "kvs": [{"key": "YQ=="}]})).unwrap();
    let entry = Entry::from(answer.kvs.into_iter().next().unwrap());
    let expected = Entry {
        key: b"a".to_vec(),
        value: Vec::new(),
        create_revision: 0,
        mod_revision: 0,
        lease: None,
    };
    assert_eq!((entry, answer.more, answer.header.revision), (expected, false, 1));
}

#[test]
fn numbers_come_as_text_or_as_numbers() {
    for (ttl, expected) in [(json!("5"), 5), (json!(5), 5), (json!("-1"), -1)] {
        let answer: LeaseAnswer = serde_json::from_value(json!({"ID": "1", "TTL": ttl})).unwrap();
        assert_eq!(answer.ttl, expected);
    }
    for wrong in [
        json!("5s"),
        json!(""),
        json!("9223372036854775808"),
        json!(0.5),
        json!(null),
    ] {
        let answer = serde_json::from_value::<LeaseAnswer>(json!({"ID": "1", "TTL": wrong}));
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[test]
fn bytes_that_are_not_base64_are_refused() {
    for wrong in [json!("YQ"), json!("Y!=="), json!(7), json!(["YQ=="])] {
        let entry = serde_json::from_value::<KeyValue>(json!({"key": wrong}));
        assert!(entry.is_err(), "{entry:?}");
    }
}

#[test]
fn an_error_of_a_stream_is_read() {
    let line = r#"{"error":{"grpc_code":14,"http_code":503,"message":"no leader","http_status":"x"}}"#;
    let StreamLine::<WatchAnswer>::Error(refusal) = serde_json::from_str(line).unwrap() else {
        panic!("it is an error");
    };
    assert_eq!((refusal.code, &*refusal.message), (14, "no leader"));
}

proptest! {
    #[test]
    fn every_key_and_value_is_read_back(key: Vec<u8>, value: Vec<u8>) {
        let put = json(&PutRequest { key: &key, value: &value, lease: 0 });
        let read: KeyValue = serde_json::from_value(put).unwrap();
        prop_assert_eq!((read.key, read.value), (key, value));
    }

    #[test]
    fn no_line_panics(line in r#"\{("result":\{)?("events":\[\{)?("(type|kv|key|revision)":("[A-Za-z0-9=]{0,9}"|-?[0-9]{1,30}))?[\]\}]{0,4}"#) {
        let _ = serde_json::from_str::<StreamLine<WatchAnswer>>(&line);
        let _ = serde_json::from_str::<TransactionAnswer>(&line);
    }
}
