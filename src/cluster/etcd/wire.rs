//! What goes over the wire, as etcd's JSON gateway has it: bytes as base64, 64-bit numbers as text. What is zero, false or
//! empty is left out.

use serde::{Deserialize, Serialize};

use self::fields::{base64, is_zero, number};

mod fields;

/// From a key up to another one, without that; only the key where the end is empty.
#[derive(Debug, Clone, Serialize)]
pub(super) struct KeyRange {
    #[serde(with = "base64")]
    pub(super) key: Vec<u8>,
    #[serde(with = "base64", skip_serializing_if = "Vec::is_empty")]
    pub(super) range_end: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(super) struct RangeRequest {
    #[serde(flatten)]
    pub(super) keys: KeyRange,
    #[serde(with = "number", skip_serializing_if = "is_zero")]
    pub(super) limit: i64,
    #[serde(with = "number", skip_serializing_if = "is_zero")]
    pub(super) revision: i64,
    pub(super) count_only: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct PutRequest<'a> {
    #[serde(serialize_with = "base64::serialize")]
    pub(super) key: &'a [u8],
    #[serde(serialize_with = "base64::serialize")]
    pub(super) value: &'a [u8],
    #[serde(with = "number", skip_serializing_if = "is_zero")]
    pub(super) lease: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct TransactionRequest<'a> {
    pub(super) compare: Vec<Comparison<'a>>,
    pub(super) success: Vec<RequestOp<'a>>,
    pub(super) failure: Vec<RequestOp<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Comparison<'a> {
    #[serde(serialize_with = "base64::serialize")]
    pub(super) key: &'a [u8],
    pub(super) result: Relation,
    #[serde(flatten)]
    pub(super) target: Target<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Relation {
    Equal,
    Greater,
}

#[derive(Debug, Serialize)]
#[serde(tag = "target", rename_all = "UPPERCASE")]
pub(super) enum Target<'a> {
    Create {
        #[serde(with = "number")]
        create_revision: i64,
    },
    Mod {
        #[serde(with = "number")]
        mod_revision: i64,
    },
    Value {
        #[serde(serialize_with = "base64::serialize")]
        value: &'a [u8],
    },
    Lease {
        #[serde(with = "number")]
        lease: i64,
    },
}

#[derive(Debug, Serialize)]
pub(super) enum RequestOp<'a> {
    #[serde(rename = "request_put")]
    Put(PutRequest<'a>),
    #[serde(rename = "request_delete_range")]
    DeleteRange(KeyRange),
    #[serde(rename = "request_range")]
    Range(RangeRequest),
}

#[derive(Debug, Serialize)]
pub(super) struct GrantRequest {
    #[serde(rename = "TTL", with = "number")]
    pub(super) ttl: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct LeaseRequest {
    #[serde(rename = "ID", with = "number")]
    pub(super) id: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct WatchRequest {
    pub(super) create_request: WatchCreate,
}

#[derive(Debug, Serialize)]
pub(super) struct WatchCreate {
    #[serde(flatten)]
    pub(super) keys: KeyRange,
    #[serde(with = "number", skip_serializing_if = "is_zero")]
    pub(super) start_revision: i64,
    /// Answers of more than 2 MB come in parts.
    pub(super) fragment: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct LoginRequest<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a str,
}

/// A request or an answer that says nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Nothing {}

/// Never without its revision, which is at least 1: the keys of an answer are of it.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    #[serde(with = "number")]
    pub(super) revision: i64,
    #[serde(with = "number", default)]
    pub(super) member_id: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[serde(with = "base64")]
    pub(super) key: Vec<u8>,
    #[serde(with = "base64")]
    pub(super) value: Vec<u8>,
    #[serde(with = "number")]
    pub(super) create_revision: i64,
    #[serde(with = "number")]
    pub(super) mod_revision: i64,
    #[serde(with = "number")]
    pub(super) lease: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RangeAnswer {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
    #[serde(default)]
    pub(super) more: bool,
    /// All that there are, given or not.
    #[serde(with = "number", default)]
    pub(super) count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeleteAnswer {
    #[serde(with = "number")]
    pub(super) deleted: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PutAnswer {}

#[derive(Debug, Deserialize)]
pub(super) struct TransactionAnswer {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    pub(super) responses: Vec<ResponseOp>,
}

#[derive(Debug, Deserialize)]
pub(super) enum ResponseOp {
    #[serde(rename = "response_put")]
    Put(PutAnswer),
    #[serde(rename = "response_delete_range")]
    DeleteRange(DeleteAnswer),
    #[serde(rename = "response_range")]
    Range(RangeAnswer),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LeaseAnswer {
    #[serde(rename = "ID", with = "number")]
    pub(super) id: i64,
    #[serde(rename = "TTL", with = "number")]
    pub(super) ttl: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WatchAnswer {
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) cancel_reason: String,
    #[serde(with = "number")]
    pub(super) compact_revision: i64,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: EventKind,
    pub(super) kv: KeyValue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventKind {
    #[default]
    Put,
    Delete,
}

#[derive(Deserialize)]
pub(super) struct LoginAnswer {
    pub(super) token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct StatusAnswer {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) version: String,
    #[serde(rename = "dbSize", with = "number", default)]
    pub(super) db_size: u64,
    #[serde(rename = "dbSizeInUse", with = "number", default)]
    pub(super) db_size_in_use: u64,
    #[serde(with = "number", default)]
    pub(super) leader: u64,
    #[serde(default)]
    pub(super) errors: Vec<String>,
}

/// One line of a stream: an answer, or why there is none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StreamLine<T> {
    Result(T),
    Error(Refusal),
}

/// Why etcd has refused a request: a code of gRPC, and etcd's own words.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    /// Absent for 0, which is no refusal. Streams have another name for it.
    #[serde(alias = "grpc_code")]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) message: String,
}

#[cfg(test)]
mod tests;
