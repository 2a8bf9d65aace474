//! The devices: whether each answers, until when its certificate is valid, and whether its clock is that of this host.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;

use super::finding::Finding;
use crate::cli::probe::examine::{Examined, examine_all};
use crate::config::{Device, Proxy};
use crate::lantime::rest::HttpClients;
use crate::model::{Snapshot, Text};
use crate::tls::{self, Trust};

const DEVICE: &str = "device";

/// A certificate that is valid for less is to be renewed.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// The header has whole seconds, and the answer takes its time.
const SAME_CLOCK: Duration = Duration::from_secs(5);

/// Asks all of them, some at a time.
pub(super) async fn of(devices: &[Arc<Device>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let devices = devices.iter().map(|device| Device::clone(device));
    for examining in examine_all(devices.collect(), false) {
        let Ok((device, examined)) = examining.await else {
            continue;
        };
        findings.push(answer(&device, &examined));
        if examined.result.is_ok() {
            findings.extend(certificate(&device, Timestamp::now()).await);
            findings.extend(clock(&device).await);
        }
    }
    findings
}

fn answer(device: &Device, examined: &Examined) -> Finding {
    match &examined.result {
        Ok(snapshot) => Finding::ok(
            DEVICE,
            format!("{} at {} {}", device.id, device.url, identity(snapshot)),
        ),
        Err(failed) => {
            let (message, remedy) = failed.as_settings();
            Finding::fail(
                DEVICE,
                format!("{} at {}: {message}", device.id, device.url),
                remedy,
            )
        }
    }
}

fn identity(snapshot: &Snapshot) -> String {
    let known = |text: Option<&Text>| text.map_or("unknown", Text::as_str).to_owned();
    let identity = &snapshot.identity;
    format!(
        "answers: {}, firmware {}",
        known(identity.model.as_ref()),
        known(identity.firmware.as_ref())
    )
}

/// Nothing where its end does not matter: a certificate that is pinned is accepted beyond it.
async fn certificate(device: &Device, now: Timestamp) -> Option<Finding> {
    let by_ca = matches!(device.tls.trust, Trust::System | Trust::Ca(_));
    if !by_ca || !device.url.starts_with("https:") || device.proxy != Proxy::Bypass {
        return None;
    }
    let shown = tls::peer_certificate(&device.url, device.connect_timeout).await;
    expiry(device, shown.ok()?.expires_at?, now)
}

fn expiry(device: &Device, expires_at: Timestamp, now: Timestamp) -> Option<Finding> {
    let left = expires_at.duration_since(now);
    let is_soon = left < jiff::SignedDuration::try_from(SOON).ok()?;
    is_soon.then(|| {
        let message = format!(
            "{}: its certificate expires at {expires_at}, in {} days",
            device.id,
            left.as_hours() / 24
        );
        Finding::warn(
            DEVICE,
            message,
            "renew it in the device's web interface before that",
        )
    })
}

/// Compares the clocks, where the device's web server shows its own. No login is sent.
async fn clock(device: &Device) -> Option<Finding> {
    let http = HttpClients::default().for_device(device).ok()?;
    let answer = http.head(&device.url).timeout(device.timeout).send().await.ok()?;
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    let date = rfc2822::parse(date).ok()?.timestamp();
    difference(device, date, Timestamp::now())
}

fn difference(device: &Device, date: Timestamp, now: Timestamp) -> Option<Finding> {
    let by = now.duration_since(date).abs();
    (by > jiff::SignedDuration::try_from(SAME_CLOCK).ok()?).then(|| {
        let message = format!(
            "{}: its clock shows {date}, and this host's {now}: {} s between them",
            device.id,
            by.as_secs()
        );
        let remedy = "synchronize this host by NTP, or check the device's clock";
        Finding::warn(DEVICE, message, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::probe::settings;

    fn device() -> Device {
        let keys = "url = \"http://127.0.0.1\"\nusername = \"info\"\npassword = \"x\"\n";
        settings::checked(keys.parse().unwrap()).unwrap().0
    }

    #[test]
    fn a_certificate_that_ends_soon_is_named() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let at = |text: &str| expiry(&device(), text.parse().unwrap(), now);
        assert_eq!(at("2027-01-01T00:00:00Z"), None);
        let soon = at("2026-12-11T12:00:00Z").unwrap();
        assert!(soon.message.contains("in 10 days"), "{soon:?}");
    }

    #[test]
    fn clocks_that_differ_are_named() {
        let now: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        let at = |text: &str| difference(&device(), text.parse().unwrap(), now);
        assert_eq!(at("2026-11-30T23:59:56Z"), None);
        for other in ["2026-11-30T23:59:50Z", "2026-12-01T00:00:10Z"] {
            let found = at(other).unwrap();
            assert!(found.message.contains("10 s between"), "{found:?}");
        }
    }
}
