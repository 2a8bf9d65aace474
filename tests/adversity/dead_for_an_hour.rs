//! A thousand devices that are dead for an hour give a thousand dead letters when it begins, and at most four more each
//! while it lasts. The clock of this test goes as fast as the tasks are done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lantime2mqtt::config::{self, Device};
use lantime2mqtt::lantime::device::{DeviceTask, Handles, Prior, TrapInbox};
use lantime2mqtt::lantime::rest::{HttpClients, Profiles, RestClient};
use lantime2mqtt::lantime::schedule::Schedule;
use lantime2mqtt::model::{DeadLetter, DeviceId, Update};
use lantime2mqtt::records::dead_letter;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::site::{Entry, Site};

const DEVICES: usize = 1000;
const HOUR: Duration = Duration::from_secs(3600);

/// Devices that nobody answers for, polled every minute.
fn devices(url: &str) -> Vec<Arc<Device>> {
    let entries = (0..DEVICES).map(|index| Entry::new(&format!("d{index}"), url).with("poll", "60s"));
    let nowhere = ([127, 0, 0, 1], 9).into();
    let site = Site::new(nowhere, &entries.collect::<Vec<_>>());
    let loaded = config::load(&site.config(), std::iter::empty());
    loaded.expect("it is right").config.devices
}

/// Starts the tasks of all devices; their updates come in by the channel.
fn start(devices: &[Arc<Device>], stop: &CancellationToken) -> mpsc::Receiver<Update> {
    let (updates, receiver) = mpsc::channel(1024);
    let mut clients = HttpClients::default();
    let origin = Instant::now();
    for (index, device) in devices.iter().enumerate() {
        let client = clients.for_device(device).expect("no files are needed");
        let schedule = Schedule::new(origin, device.poll, device.jitter, index, devices.len());
        let (_, jobs) = futures_channel::mpsc::channel(0);
        let handles = Handles {
            traps: TrapInbox::new(None),
            updates: updates.clone(),
            jobs,
            repeat: Duration::from_secs(15 * 60),
            write_guard: None,
        };
        let client = RestClient::new(client, device);
        let task = DeviceTask::new(
            device,
            client,
            Profiles::built_in(),
            schedule,
            Prior::default(),
            handles,
        );
        tokio::spawn(Box::new(task).run(stop.clone()));
    }
    receiver
}

/// The dead letters of each device until that moment.
async fn dead_letters(
    updates: &mut mpsc::Receiver<Update>,
    until: Instant,
) -> HashMap<DeviceId, Vec<DeadLetter>> {
    let mut dead_letters = HashMap::<_, Vec<_>>::new();
    while let Ok(Some(update)) = tokio::time::timeout_at(until, updates.recv()).await {
        let dead_letter = match update {
            Update::DeadLetter(dead_letter) => Some(*dead_letter),
            Update::Incident(report) => dead_letter::of_incident(&report),
            _ => None,
        };
        if let Some(dead_letter) = dead_letter {
            let device = dead_letter.device.clone().expect("it is about a device");
            dead_letters.entry(device).or_default().push(dead_letter);
        }
    }
    dead_letters
}

#[tokio::test(start_paused = true)]
async fn a_thousand_devices_that_are_dead_for_an_hour_are_no_flood() {
    // Nobody listens there: each attempt is refused at once.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port")
        .local_addr()
        .expect("bound")
        .port();
    let devices = devices(&format!("http://127.0.0.1:{port}"));
    let stop = CancellationToken::new();
    let begin = Instant::now();
    let mut updates = start(&devices, &stop);
    let dead_letters = dead_letters(&mut updates, begin + HOUR).await;
    stop.cancel();

    assert_eq!(dead_letters.len(), DEVICES, "each when it begins");
    for (device, dead_letters) in &dead_letters {
        let repeats: Vec<_> = dead_letters
            .iter()
            .map(|dead_letter| dead_letter.repeats.unwrap_or_default())
            .collect();
        assert!((4..=5).contains(&dead_letters.len()), "{device}: {repeats:?}");
        assert_eq!(dead_letters[0].repeats, None, "{device}: its beginning");
        assert!(
            repeats.windows(2).all(|pair| pair[0] < pair[1]),
            "{device}: {repeats:?}"
        );
        assert!(
            dead_letters
                .iter()
                .all(|dead_letter| dead_letter.first_at == dead_letters[0].first_at && !dead_letter.recovered)
        );
        assert!(
            repeats.last().is_some_and(|failures| *failures >= 44),
            "{device}: {repeats:?}"
        );
    }
    let all: usize = dead_letters.values().map(Vec::len).sum();
    println!("{all} dead letters of {DEVICES} devices in {:?}", begin.elapsed());
}
