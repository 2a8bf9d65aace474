//! `[homeassistant]`: whether, and where, Home Assistant discovers devices.

use super::parse;
use super::problem::complaint;
use super::section::Section;

/// As Home Assistant has them unless it is configured otherwise.
const DEFAULT_DISCOVERY_PREFIX: &str = "homeassistant";
const DEFAULT_STATUS_TOPIC: &str = "homeassistant/status";

/// `[homeassistant]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeAssistant {
    /// First levels of discovery topics, without a slash at either end.
    pub discovery_prefix: String,
    /// Where Home Assistant says that it has started.
    pub status_topic: String,
}

/// `None` where it is not enabled. `prefix` is that of all our other topics.
pub(super) fn read(mut section: Section<'_>, prefix: Option<&str>) -> Option<HomeAssistant> {
    let is_enabled = section.flag("enabled").unwrap_or(false);
    let discovery_prefix = section.parsed("discovery_prefix", parse::topic);
    let status_topic = section.parsed("status_topic", parse::topic);
    let discovery_prefix = discovery_prefix.unwrap_or_else(|| DEFAULT_DISCOVERY_PREFIX.to_owned());
    if is_enabled && prefix.is_some_and(|prefix| overlap(prefix, &discovery_prefix)) {
        let key = match section.has("discovery_prefix") {
            true => "discovery_prefix",
            false => "enabled",
        };
        let what = format!("discovery topics ({discovery_prefix}/..) would lie among those of mqtt.prefix");
        section.refuse(key, complaint(what, "let neither begin with the other"));
    }
    section.finish();
    is_enabled.then(|| HomeAssistant {
        discovery_prefix,
        status_topic: status_topic.unwrap_or_else(|| DEFAULT_STATUS_TOPIC.to_owned()),
    })
}

/// Whether one lies at or below the other.
fn overlap(a: &str, b: &str) -> bool {
    a.split('/').zip(b.split('/')).all(|(a, b)| a == b)
}
