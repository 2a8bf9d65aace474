//! The bridge as an edge node of Sparkplug B, as a host application sees it that others have written.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

mod host;
mod many;
mod scene;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod values;
mod writing;
