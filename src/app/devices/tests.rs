//! A device whose task fails.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::hub::Fleet;
use crate::model::{Availability, ErrorKind, Stage, Transition};

const PROFILE: &str = include_str!("../../../config/profiles/api-20.toml");

/// A device of which nothing answers.
fn configured(profile: &Path) -> Vec<Arc<Device>> {
    let text = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[[devices]]\nid = \"m1\"\nurl = \"http://127.0.0.1:1\"\n\
         username = \"u\"\npassword = \"p\"\nprofile = \"{}\"\n",
        profile.display()
    );
    let file = profile.with_file_name("config.toml");
    std::fs::write(&file, text).unwrap();
    let loaded = crate::config::load(&file, std::iter::empty()).unwrap();
    loaded.config.devices
}

/// All tasks fail, and that is seen.
async fn fail(devices: &mut Devices, updates: &mut mpsc::Receiver<Update>) -> Vec<Update> {
    while updates.try_recv().is_ok() {}
    devices.tasks.abort_all();
    tokio::select! {
        never = devices.supervise() => match never {},
        first = updates.recv() => {
            let mut reported = vec![first.expect("they are senders still")];
            reported.extend(std::iter::from_fn(|| updates.try_recv().ok()));
            reported
        }
    }
}

#[tokio::test]
async fn a_device_whose_task_fails_is_offline_with_the_reason_until_it_leaves_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("profile.toml");
    std::fs::write(&profile, PROFILE).unwrap();
    let device = configured(&profile);
    let (sender, mut updates) = mpsc::channel(64);
    let (repeat, routes) = (Duration::from_secs(900), watch::Sender::default());
    let mut devices = Devices::new(sender, repeat, None, None, HashMap::new(), routes);
    let mut fleet = Fleet::default();
    devices.apply(&device).await.unwrap();

    let reported = fail(&mut devices, &mut updates).await;
    let [
        Update::Forgotten { .. },
        Update::Device { transitions, .. },
        Update::Incident(report),
        ..,
    ] = &reported[..]
    else {
        panic!("{reported:?}");
    };
    let [
        Transition::Availability {
            old: None,
            new: Availability::Offline,
            error: Some(ErrorKind::Internal),
            ..
        },
    ] = transitions[..]
    else {
        panic!("its outage is recorded: {transitions:?}");
    };
    for update in &reported {
        fleet.apply(update, Timestamp::UNIX_EPOCH);
    }
    let shown = &fleet.devices[&device[0].id];
    assert_eq!(shown.view.availability, Some(Availability::Offline));
    let problem = shown.view.problem.as_ref().unwrap();
    assert_eq!(report.stage, Stage::Begun);
    assert_eq!(
        (problem.id, problem.error.kind),
        (report.incident.id, ErrorKind::Internal)
    );

    // It fails for good: the dead letter has been sent, and the task cannot be started again.
    std::fs::remove_file(&profile).unwrap();
    let reported = fail(&mut devices, &mut updates).await;
    let is_reported =
        |update: &Update| matches!(update, Update::Incident(report) if report.stage != Stage::Resumed);
    assert!(!reported.iter().any(is_reported), "{reported:?}");
    let is_recorded =
        |update: &Update| matches!(update, Update::Device { transitions, .. } if !transitions.is_empty());
    assert!(!reported.iter().any(is_recorded), "it is offline still");
    devices.apply(&[]).await.unwrap();
    while let Ok(update) = updates.try_recv() {
        fleet.apply(&update, Timestamp::UNIX_EPOCH);
    }
    assert!(fleet.devices.is_empty());
}
