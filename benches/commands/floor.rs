//! What the devices themselves take: so many requests one after the other to each, to all devices at once, with
//! the same HTTP client and answers thrown away.

use std::time::{Duration, Instant};

use lantime2mqtt::simulator::Fleet;

/// How long each device took for that many status documents.
pub(crate) async fn requests(fleet: &Fleet, count: usize) -> anyhow::Result<Vec<Duration>> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .no_proxy()
        .build()?;
    let mut tasks = Vec::new();
    for device in fleet.devices() {
        let (client, url) = (client.clone(), format!("{}/api/status", device.url()));
        tasks.push(tokio::spawn(async move {
            let started = Instant::now();
            for _ in 0..count {
                let answer = client
                    .get(&url)
                    .basic_auth("info", Some("simulated"))
                    .send()
                    .await?;
                answer.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(started.elapsed())
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await??);
    }
    Ok(times)
}

fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
