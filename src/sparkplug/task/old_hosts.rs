//! Hosts that speak Sparkplug 2.2, seen by the topic at which they publish their state. They are warned about,
//! since a host that waits for 2.2, or that we wait for, looks like a broken bridge.

use std::collections::BTreeSet;

use crate::wording::quoted;

/// Names that are kept: anybody may write there.
const MAX_HOSTS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct OldHosts {
    seen: BTreeSet<String>,
}

impl OldHosts {
    /// A message at the topic of that host.
    pub(super) fn hear(&mut self, host: &str, payload: &[u8], is_primary: bool) {
        let is_old = [b"ONLINE".as_slice(), b"OFFLINE"].contains(&payload);
        if !is_old || self.seen.len() >= MAX_HOSTS || !self.seen.insert(host.to_owned()) {
            return;
        }
        let host = quoted(host);
        if is_primary {
            tracing::warn!(
                host,
                "the primary host speaks Sparkplug 2.2: it does not publish its state as 3.0 has it, and nothing is \
                 published before it does; set the host to Sparkplug 3.0, or remove sparkplug.primary_host"
            );
        } else {
            tracing::warn!(
                host,
                "a host speaks Sparkplug 2.2, and this edge node 3.0; if it is to read this edge node, set it to \
                 Sparkplug 3.0"
            );
        }
    }

    /// How many have been seen.
    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_plain_words() {
        let mut hosts = OldHosts::default();
        for payload in ["", "online", r#"{"online":true,"timestamp":1}"#] {
            hosts.hear("scada", payload.as_bytes(), false);
        }
        assert_eq!(hosts.count(), 0);
        hosts.hear("scada", b"OFFLINE", false);
        hosts.hear("scada", b"ONLINE", false);
        assert_eq!(hosts.count(), 1);
        (0..99).for_each(|host| hosts.hear(&host.to_string(), b"ONLINE", false));
        assert_eq!(hosts.count(), MAX_HOSTS);
    }
}
