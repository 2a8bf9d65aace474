//! Whether the primary host is online, by the state that it publishes. Pure.

use serde::Deserialize;

/// What a host application publishes about itself.
#[derive(Debug, Clone, Copy, Deserialize)]
struct State {
    online: bool,
    /// When its connection was made.
    timestamp: i64,
}

/// What is known of the primary host.
#[derive(Debug, Default)]
pub(super) struct PrimaryHost(Option<State>);

impl PrimaryHost {
    pub(super) fn is_online(&self) -> bool {
        self.0.is_some_and(|state| state.online)
    }

    /// Takes what it says; `false` where that cannot be understood.
    pub(super) fn hear(&mut self, payload: &[u8]) -> bool {
        let Ok(state) = serde_json::from_slice::<State>(payload) else {
            return false;
        };
        // A death that comes late, of a connection that the host has renewed meanwhile.
        if self.0.is_some_and(|known| state.timestamp < known.timestamp) {
            return true;
        }
        let was_online = self.is_online();
        self.0 = Some(state);
        let online = state.online;
        if was_online != online {
            tracing::info!(online, "state of the Sparkplug primary host changed");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_of_an_earlier_connection_is_none() {
        let mut host = PrimaryHost::default();
        assert!(!host.is_online());
        for (online, timestamp, expected) in [
            (true, 2000, true),
            (false, 1500, true),
            (false, 2000, false),
            (true, 2000, true),
            (false, 3000, false),
        ] {
            let said = format!(r#"{{"online":{online},"timestamp":{timestamp}}}"#);
            assert!(host.hear(said.as_bytes()));
            assert_eq!(host.is_online(), expected, "{said}");
        }
        for malformed in ["", "ONLINE", r#"{"online":true}"#] {
            assert!(
                !host.hear(malformed.as_bytes()) && !host.is_online(),
                "{malformed}"
            );
        }
    }
}
