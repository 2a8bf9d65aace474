//! The devices: whether each answers, until when its certificate is valid, whether its clock is that of this host, and
//! whether the wiring of its relays is configured.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;

use super::finding::Finding;
use crate::cli::probe::examine::{Examined, examine_all};
use crate::config::{Device, Proxy};
use crate::lantime::rest::HttpClients;
use crate::model::derive::{RelayEvents, slots};
use crate::model::{Snapshot, Text, WiringSource};
use crate::tls::{self, Trust};
use crate::wording::count;

const DEVICE: &str = "device";
const DEVICES: &str = "devices";
const WIRING: &str = "wiring";

/// So many devices that answer have a line each; of more there is one line for all.
const SHOWN: usize = 3;

/// A certificate that is valid for less is to be renewed.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// The header has whole seconds, and the answer takes its time.
const SAME_CLOCK: Duration = Duration::from_secs(5);

/// Asks all of them, some at a time: one finding for all, then those of each, and one of their wiring.
pub(super) async fn of(devices: &[Arc<Device>]) -> Vec<Finding> {
    let (mut findings, mut assumed) = (Vec::new(), Vec::new());
    let mut answering = 0;
    let all = devices.len();
    let devices = devices.iter().map(|device| Device::clone(device));
    for examining in examine_all(devices.collect(), false) {
        let Ok((device, examined)) = examining.await else {
            continue;
        };
        let answer = answer(&device, &examined);
        findings.push(if all > SHOWN { answer.detail() } else { answer });
        if let Ok(snapshot) = &examined.result {
            answering += 1;
            let slots = assumed_slots(&device, snapshot);
            assumed.extend((slots > 0).then(|| (device.id.to_string(), slots)));
            findings.extend(certificate(&device, Timestamp::now()).await);
            findings.extend(clock(&device).await);
        }
    }
    findings.splice(0..0, summary(answering, all));
    findings.extend(wiring(&assumed));
    findings
}

/// How many answer.
fn summary(answering: usize, all: usize) -> Option<Finding> {
    let message = format!("{answering} of {all} answer");
    match all {
        0 => None,
        _ if answering == all => Some(Finding::ok(DEVICES, message)),
        _ => Some(Finding::warn(DEVICES, message, "see those that fail below")),
    }
}

/// How many slots of the device have the usual wiring, since the configuration says nothing of it.
fn assumed_slots(device: &Device, snapshot: &Snapshot) -> usize {
    let shown = slots(
        snapshot,
        snapshot.chassis_kind(),
        &device.slots,
        &RelayEvents::new(),
        &Default::default(),
        Timestamp::UNIX_EPOCH,
    );
    let wirings = shown.iter().filter_map(|(_, slot)| slot.wiring.as_ref());
    wirings
        .filter(|(_, source)| *source == WiringSource::Assumed)
        .count()
}

/// `assumed` are devices, each with the number of its slots whose wiring is not configured.
fn wiring(assumed: &[(String, usize)]) -> Option<Finding> {
    let slots = assumed.iter().map(|(_, slots)| slots).sum();
    let names: Vec<_> = assumed.iter().take(SHOWN).map(|(id, _)| id.as_str()).collect();
    let more = match assumed.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "the usual one is assumed for {} of {} ({}{more})",
        count(slots, "slot"),
        count(assumed.len(), "device"),
        names.join(", ")
    );
    let remedy =
        "compare it with the jumpers on each module, and set relays for the slot in the configuration";
    (!assumed.is_empty()).then(|| Finding::warn(WIRING, message, remedy))
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
    use super::super::finding::Level;
    use super::*;
    use crate::cli::probe::settings;

    fn device() -> Device {
        let keys = "url = \"http://127.0.0.1\"\nusername = \"info\"\npassword = \"x\"\n";
        settings::checked(keys.parse().unwrap()).unwrap().0
    }

    #[test]
    fn what_all_devices_have_in_common_is_one_line() {
        assert_eq!(summary(0, 0), None);
        assert_eq!(summary(40, 40), Some(Finding::ok(DEVICES, "40 of 40 answer")));
        let some = summary(38, 40).unwrap();
        assert!(some.level == Level::Warn && some.message == "38 of 40 answer");
        assert_eq!(wiring(&[]), None);
        let assumed: Vec<_> = (1..=5).map(|n| (format!("m{n}"), 2)).collect();
        let found = wiring(&assumed).unwrap();
        let text = "for 10 slots of 5 devices (m1, m2, m3 and 2 more)";
        assert!(found.message.contains(text), "{found:?}");
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
