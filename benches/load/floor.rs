//! The floor: what the HTTP client alone costs, with the bridge's own settings and schedule.

use std::path::Path;
use std::time::Duration;

use lantime2mqtt::config;
use lantime2mqtt::lantime::rest::HttpClients;
use lantime2mqtt::lantime::schedule::Schedule;
use tokio::time::Instant;

/// Asks the devices of that configuration until it is killed.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let config = config::load(file, std::iter::empty())?.config;
        let mut clients = HttpClients::default();
        let origin = Instant::now();
        let count = config.devices.len();
        for (index, device) in config.devices.into_iter().enumerate() {
            let client = clients.for_device(&device)?;
            let mut schedule = Schedule::new(origin, device.poll, Duration::ZERO, index, count);
            tokio::spawn(async move {
                let url = format!("{}/api/status", device.url);
                let mut next = schedule.first();
                loop {
                    tokio::time::sleep_until(next).await;
                    let request = client
                        .get(&url)
                        .basic_auth(&device.username, Some(device.password.expose()))
                        .timeout(device.timeout);
                    if let Ok(answer) = request.send().await {
                        let _ = answer.bytes().await;
                    }
                    next = schedule.next(Instant::now()).0;
                }
            });
        }
        std::future::pending().await
    })
}
