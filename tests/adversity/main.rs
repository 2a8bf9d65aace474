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
mod killed_in_a_command;
mod one_hangs;
mod scene;

use std::time::Duration;

use support::PATIENCE;

/// Waits until something holds that nobody tells of. Looks ever less often: it may be long to find out.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let mut pause = Duration::from_millis(5);
    let holds = async {
        while !condition() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    };
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        panic!("{what}: never");
    }
}
