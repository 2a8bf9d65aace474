//! What has happened to devices, slots, relays, signals and events: entries, made of records, and what follows from them.
//!
//! Pure. The store keeps entries and finds them; the API and the command line show them.

mod availability;
mod entry;
mod faults;
mod spans;
mod subject;
mod timeline;
mod value;

pub use availability::Figures;
pub use entry::Entry;
pub use faults::{Fault, faults};
pub use spans::{Span, Window};
pub use subject::{Part, Subject};
pub use timeline::{Known, SlotTimeline, Timeline};
pub use value::Value;
