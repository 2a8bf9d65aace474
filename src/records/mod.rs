//! What has to outlive this process: records on their way, commands, dead letters.
//!
//! [`record`] is what goes out and comes in; [`change`], [`trap`] and [`dead_letter`] make
//! records; [`store`] is the durable file.

pub mod change;
pub mod dead_letter;
pub mod record;
pub mod store;
pub mod trap;

pub use record::{MAX_PAYLOAD, Received, Record};
