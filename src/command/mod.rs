//! Commands: from a message to a device, and to the answer that its sender gets.
//!
//! Each edge (MQTT, page, Sparkplug, command line) makes an [`Incoming`]: the message, and the typed [`Request`] that it is,
//! or a [`Refusal`] that says what to do instead. An [`Inbox`] takes them, durably, and the [`Dispatcher`] gives them to the
//! devices in order. Each edge gets a `CommandReply`. How a device does it is known to its task only.

mod acknowledge_faults;
mod admission;
mod command_store;
mod context;
mod counts;
mod dispatcher;
mod elsewhere;
mod execution;
mod http_sessions;
mod inbox;
mod incoming;
mod payload;
mod relay_events;
mod replay;
mod reply_topic;
pub mod request;
mod route;
mod unknown_target;

pub use command_store::CommandStore;
pub use counts::Counts;
pub use dispatcher::Dispatcher;
pub use elsewhere::Elsewhere;
pub use inbox::Inbox;
pub use incoming::{Incoming, dead_letter_of};
pub use replay::command_of;
pub use request::{Refusal, Request, Target};
pub use route::{Route, Routes};
