//! What has to outlive this process: records on their way, commands, dead letters.
//!
//! [`record`] is what goes out and comes in; [`change`] and [`dead_letter`] make records; [`store`] is the
//! durable file.

pub mod change;
pub mod dead_letter;
pub mod record;
pub mod store;

pub use record::{Destination, Received, Record};
