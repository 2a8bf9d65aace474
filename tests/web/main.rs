//! The page in a real browser, the API by plain HTTP, and both under attack; the bridge is the real program.
//!
//! The browser is Debian's Chromium, driven by `playwright-core`: what is done in it stands in the scripts beside
//! this file.

#[path = "../support/mod.rs"]
mod support;

mod api;
mod attacks;
mod browser;
mod examples;
mod history;
mod incidents;
mod many;
mod openapi;
mod outage;
mod page;
mod refused;
mod scene;
mod socket;
