//! Where tests end the process in the middle of its work, as `kill -9` would: at the point that the environment
//! variable `LANTIME2MQTT_ABORT_AT` names. Or let it stand still there, once, as a machine that is suspended: `LANTIME2MQTT_STOP_AT`.
//! A release build has no such points.
//!
//! In the order in which a command comes by: `received` (from the broker), `keeping` (in a cluster: right before the transaction
//! that puts it into the inbox; all others of a shard's commands come by, too), `in-the-inbox` (on disk), `acknowledged` (to the
//! broker, on the wire), `checking` and `checked` (in a cluster: right before and after the transaction that permits a request
//! which changes something at the device), `written` (to the device, not applied yet), `read-back` (from it), `reply-stored`.
//! Of a record of a cluster that comes from the broker: `history-received`, and `history-stored` (on disk, not acknowledged yet).

/// A point has been reached.
#[cfg(debug_assertions)]
pub(crate) fn reached(point: &str) {
    use std::sync::{LazyLock, Once};
    static ABORT_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LANTIME2MQTT_ABORT_AT").ok());
    static STOP_AT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LANTIME2MQTT_STOP_AT").ok());
    static STOP: Once = Once::new();
    if ABORT_AT.as_deref() == Some(point) {
        std::process::abort();
    }
    if STOP_AT.as_deref() == Some(point) {
        STOP.call_once(|| {
            // It goes on from here once it gets SIGCONT.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        });
    }
}

/// A point has been reached.
#[cfg(not(debug_assertions))]
pub(crate) fn reached(_point: &str) {}
