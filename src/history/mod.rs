//! What has happened to devices, slots, relays, signals and events: entries, made of records, and what follows from them.
//!
//! Pure. The store keeps entries and finds them; the API and the command line show them.

mod entry;
mod subject;
mod value;

pub use entry::Entry;
pub use subject::{Part, Subject};
pub use value::Value;
