//! The protobuf of Sparkplug B, as far as it is used here; fields that are left out are skipped when read. The numbers are
//! those of `sparkplug_b.proto`.

use prost::{Message, Oneof};

/// A message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// One value with its name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(enumeration = "DataType", optional, tag = "4")]
    pub(super) datatype: Option<i32>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(message, optional, tag = "9")]
    pub(super) properties: Option<PropertySet>,
    #[prost(oneof = "Value", tags = "11, 14, 15")]
    pub(super) value: Option<Value>,
}

/// What a metric has as its value.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Value {
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    String(String),
}

/// Properties of a metric: the keys, and as many values.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertySet {
    #[prost(string, repeated, tag = "1")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<PropertyValue>,
}

/// The value of a property that is a number.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertyValue {
    #[prost(enumeration = "DataType", optional, tag = "1")]
    pub(super) r#type: Option<i32>,
    #[prost(uint32, optional, tag = "3")]
    pub(super) int_value: Option<u32>,
}

/// Types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum DataType {
    Int32 = 3,
    Int64 = 4,
    Boolean = 11,
    String = 12,
    DateTime = 13,
}
