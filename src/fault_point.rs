//! Where tests end the process in the middle of its work, as `kill -9` would: at the point that the environment
//! variable `LANTIME2MQTT_ABORT_AT` names. A release build has no such points.
//!
//! In the order in which a command comes by: `received` (from the broker), `in-the-inbox` (on disk), `acknowledged`
//! (to the broker, on the wire), `checked` (by the cluster, where there is one: right before each request that changes something at
//! the device), `written` (to the device, not applied yet), `read-back` (from it), `reply-stored`.

/// A point has been reached.
#[cfg(debug_assertions)]
pub(crate) fn reached(point: &str) {
    static ABORT_AT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("LANTIME2MQTT_ABORT_AT").ok());
    if ABORT_AT.as_deref() == Some(point) {
        std::process::abort();
    }
}

/// A point has been reached.
#[cfg(not(debug_assertions))]
pub(crate) fn reached(_point: &str) {}
