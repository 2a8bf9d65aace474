//! What has to outlive this process.
//!
//! [`store`] is the durable file; the records themselves come on top of it.

pub mod store;
