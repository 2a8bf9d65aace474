//! The bridge as an edge node of Sparkplug B, as a host application sees it that others have written.

// Helpers beside the tests, too.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod host;
mod many;
mod scene;
mod sessions;
mod values;
mod writing;
