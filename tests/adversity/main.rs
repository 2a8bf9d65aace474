//! What the bridge promises for the day when everything goes wrong: one file per promise.
//!
//! Nothing is lost and nothing is half done, whoever is killed, bridge or broker, and whenever; what waits is
//! bounded; one device holds up no other; and no message does what it does not say.

#[path = "../support/mod.rs"]
mod support;

mod any_payload;
mod broker_killed;
mod dead_for_an_hour;
mod killed_at_any_moment;
mod killed_before_the_record;
mod killed_in_a_command;
mod one_hangs;
mod scene;
