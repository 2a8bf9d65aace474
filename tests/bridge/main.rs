//! The real program between simulated devices and a real broker: one file per promise.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod command_line;
mod device_changes;
mod documents;
mod faults;
mod login;
mod probe;
mod secrets;
mod since;
mod state;
mod stop_and_reload;
mod trust_and_proxy;
mod web_servers;

use support::Seen;

/// Whether a device with one relay module is in normal operation, as far as everybody sees.
fn is_healthy(seen: &Seen, device: &str) -> bool {
    seen.is_online(device)
        && seen.text(&format!("{device}/io1/state")) == "online"
        && seen.json(&format!("{device}/io1/relay/a"))["position"] == "NO"
        && seen.json(&format!("{device}/io1/signal/clk1"))["status"] == "ok"
        && seen.text(&format!("{device}/error")).is_empty()
}
