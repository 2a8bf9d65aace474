//! Everything MQTT: payloads, the connection, the publisher, and a broker in this process.
//!
//! [`payload`] makes messages of changes, by the structs of `contract`. [`publisher`] is the only sender: it owns what is retained
//! and sends it, and the records, through a [`connection`], a new one after each failure. [`commands`] takes
//! commands in, through a connection of their own; [`history`] takes in the records of a cluster, likewise. [`mod@read_back`]
//! reads what an earlier run has published, [`probe`] looks at the broker's limits, and
//! [`mod@neighbours`] at who else is there. [`embedded`] is a broker for those who have none.

mod backoff;
pub mod commands;
pub mod connection;
pub mod discovery;
pub mod embedded;
pub mod history;
mod intake;
pub(crate) mod link;
pub mod neighbours;
pub mod payload;
pub(crate) mod pending_subscriptions;
pub mod probe;
pub mod publisher;
pub mod read_back;

pub use link::{EdgeNodeStatus, LinkStatus};
