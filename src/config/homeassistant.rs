//! `[homeassistant]`: whether, and where, Home Assistant discovers devices.

use super::parse;
use super::problem::Problem;
use super::section::Section;

/// `[homeassistant]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeAssistant {
    /// First levels of discovery topics, without a slash at either end.
    pub discovery_prefix: String,
    /// Where Home Assistant says that it has started.
    pub status_topic: String,
}

/// `None` where it is not enabled. `prefix` is that of all our other topics.
pub(super) fn read(section: &Section<'_>, prefix: Option<&str>) -> Option<HomeAssistant> {
    let is_enabled = section.flag("enabled");
    let discovery_prefix = section.read("discovery_prefix", parse::topic)?;
    let status_topic = section.read("status_topic", parse::topic)?;
    if is_enabled && prefix.is_some_and(|prefix| overlap(prefix, &discovery_prefix)) {
        let key = match section.has("discovery_prefix") {
            true => "discovery_prefix",
            false => "enabled",
        };
        let what = format!("discovery topics ({discovery_prefix}/..) would lie among those of mqtt.prefix");
        section.refuse(key, Problem::new(what, "let neither begin with the other"));
    }
    is_enabled.then_some(HomeAssistant {
        discovery_prefix,
        status_topic,
    })
}

/// Whether one lies at or below the other.
fn overlap(a: &str, b: &str) -> bool {
    a.split('/').zip(b.split('/')).all(|(a, b)| a == b)
}
