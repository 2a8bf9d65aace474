//! Everything MQTT: topics, payloads, the connection, the publisher, and a broker in this process.
//!
//! [`topics`] and [`payload`] are plain functions. [`publisher`] is the only sender of state: it owns what
//! is retained and sends it through a [`connection`], a new one after each failure. [`embedded`] is a
//! broker for those who have none.

pub mod connection;
pub mod embedded;
mod fields;
pub mod payload;
pub mod publisher;
pub mod topics;
