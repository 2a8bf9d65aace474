//! Commands: what one asks for, and the answer that it gets.
//!
//! [`request`] takes a topic and a payload and gives a typed request, or a refusal that says what to do
//! instead; [`reply`] writes the JSON of the answer. Both are pure. Who carries a command out is not known here.

mod http_sessions;
mod payload;
mod relay_events;
mod replay;
pub mod reply;
pub mod request;

pub use replay::command_of;
pub use request::{Refusal, Request, Target};
