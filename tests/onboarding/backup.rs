//! What docs/maintenance.md says of a backup: a copy of the file of a bridge that is stopped has all that must survive.

use std::fs;

use crate::support::Watcher;
use crate::support::mosquitto::Mosquitto;
use crate::support::program::run;
use crate::support::site::{Entry, Site};

async fn dead_letters(site: &Site) -> String {
    let config = site.config().display().to_string();
    let end = run(&["dead-letters", "list", "--json", "--config", &config]).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    end.output.stdout
}

#[tokio::test]
async fn a_copy_of_a_stopped_bridge_goes_on_where_that_was() {
    let broker = Mosquitto::start();
    let nobody = Entry::new("m500", "http://127.0.0.1:1");
    let site = Site::new(broker.address(), std::slice::from_ref(&nobody));
    let bridge = site.start();
    let mut watcher = Watcher::connect(broker.address()).await;
    watcher
        .until("a dead letter", |seen| {
            !seen.records("dead-letter/m500").is_empty() && seen.text("m500/state") == "offline"
        })
        .await;
    bridge.stop("TERM").await;
    let before = dead_letters(&site).await;
    assert!(before.contains("m500"), "{before}");

    // Another machine, whose configuration no longer has the device.
    let restored = Site::new(broker.address(), &[]);
    fs::create_dir(restored.state()).expect("the directory is ours");
    let file = "lantime2mqtt.redb";
    fs::copy(site.state().join(file), restored.state().join(file)).expect("a copy");
    assert_eq!(dead_letters(&restored).await, before);
    let _bridge = restored.start();
    watcher
        .until("topics that are no longer configured are cleared", |seen| {
            seen.text("m500/state").is_empty()
        })
        .await;
    restored.takes_commands().await;
}
