//! What has to outlive this process: records on their way, commands, dead letters.
//!
//! [`record`] is what goes out and comes in; [`store`] is the durable file.

pub mod record;
pub mod store;

pub use record::{Destination, Received, Record};
