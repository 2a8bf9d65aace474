//! Commands: from a message to a device, and to the answer that its sender gets.
//!
//! [`request`] takes a topic and a payload and gives a typed request, or a refusal that says what to do
//! instead, and is pure; the JSON of the answer is `contract::reply`. An [`Inbox`] takes commands, durably, and
//! the [`Dispatcher`] gives them to the devices in order. How a device does it is known to its task only.

mod admission;
mod context;
mod counts;
mod dispatcher;
mod execution;
mod http_sessions;
mod inbox;
mod payload;
mod relay_events;
mod replay;
mod reply_topic;
pub mod request;
mod route;
mod unknown;

pub use counts::Counts;
pub use dispatcher::Dispatcher;
pub use inbox::Inbox;
pub use replay::command_of;
pub use request::{Refusal, Request, Target, letter_of};
pub use route::{Route, Routes};
