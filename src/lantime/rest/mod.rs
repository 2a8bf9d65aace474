//! The LANTIME REST API: [`client`] asks, [`wire`] is the answer as sent, [`profile`] says where the parts
//! are that the vendor has not published, [`json`] reads and repairs JSON, [`status`] makes a snapshot of it all.

pub mod client;
pub mod error;
pub mod json;
pub mod profile;
pub mod status;
pub mod wire;

pub use client::{HttpClients, RestClient};
pub use error::RestError;
pub use profile::{Profile, Profiles};
