//! Other people's conventions of topics and payloads, fed by the same changes as our own.

pub mod homeassistant;
pub mod sparkplug;
