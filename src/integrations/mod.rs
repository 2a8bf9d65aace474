//! Other people's conventions, fed by the same changes as everything that is published.

pub mod sparkplug;
