//! What can go wrong between a device and its clients. Data only: the server acts on it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::time::Duration;

/// A fault of a device's web server or of its SNMP agent. One stands at a time. In a scenario file: `fault = "hang"`,
/// `fault = { slow-body = { bytes-per-second = 2000 } }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Every request gets 401, whatever its credentials: the password was changed, or the user is banned.
    Unauthorized,
    /// Every request gets 403: the user may not read.
    Forbidden,
    /// Every request gets 404: the REST API is switched off at the device.
    NotFound,
    /// Every request gets 500.
    ServerError,
    /// Every request gets 503.
    Unavailable,
    /// Requests get no answer until the fault is cleared; then they get theirs.
    Hang,
    /// The status document trickles.
    #[serde(rename_all = "kebab-case")]
    SlowBody {
        /// Bytes a second, sent in ten portions; at least 10.
        bytes_per_second: u32,
    },
    /// The connection is closed within the status document.
    #[serde(rename_all = "kebab-case")]
    CutBody {
        /// Bytes of the document that are sent before.
        after_bytes: u32,
    },
    /// The answer is JSON of that size, streamed.
    #[serde(rename_all = "kebab-case")]
    HugeBody {
        /// Its size; 8 MiB and more is beyond any real device.
        bytes: u64,
    },
    /// The status document is not JSON: it breaks off in the middle of a value, with status 200.
    WrongJson,
    /// Keys are left out of the status document, wherever they stand.
    #[serde(rename_all = "kebab-case")]
    MissingKeys {
        /// Their names; without any, `system-information`, `slots` and `events`.
        #[serde(default = "default_missing_keys")]
        keys: Vec<String>,
    },
    /// The status document stays as it is now, with the times of now; only the time of the answer goes on. A device may
    /// show for a while how it was before the trap that it has sent.
    StaleStatus,
    /// The device is switched off and on: connections are cut, nothing listens for a while, the uptime
    /// begins at zero, tokens are forgotten. Ends by itself.
    #[serde(rename_all = "kebab-case")]
    Restart {
        /// How long nothing listens.
        #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
        down: Duration,
    },
    /// As [`Fault::Restart`], but the boots of its SNMP engine go back by one instead of forward, as on a device whose
    /// memory was restored: who has seen the engine before has to refuse what it sends. Ends by itself.
    #[serde(rename_all = "kebab-case")]
    WrongBoots {
        /// How long nothing listens.
        #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
        down: Duration,
    },
    /// The tokens given out so far are refused from now on. New ones are given out: nothing stands.
    ExpiredToken,
    /// Writing and applying the configuration get 403: the user may only read.
    ReadOnly,
    /// Writing and applying the configuration get 503: somebody else works on it.
    BusyConfiguration,
    /// Writing the configuration gets no answer until the fault is cleared; then it is carried out, if the client is
    /// still there.
    HangOnWrite,
    /// Applying the configuration gets no answer until the fault is cleared; then it is carried out, if the client is
    /// still there.
    HangOnApply,
    /// A write of the configuration is carried out, but the connection is closed before the answer.
    CutAfterWrite,
    /// The configuration is applied, but the connection is closed before the answer.
    CutAfterApply,
    /// Applying the configuration gets 500: what was written stays pending.
    FailingApply,
    /// Writing and applying the configuration take so long, and end even if the client has left meanwhile.
    #[serde(rename_all = "kebab-case")]
    SlowChange {
        /// How long.
        #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
        by: Duration,
    },
    /// The SNMP agent takes requests in and answers none. Notifications are sent.
    SnmpSilence,
    /// Over SNMP, the configuration is applied at once, but the answer to that comes late, or as soon as the fault is
    /// cleared.
    #[serde(rename_all = "kebab-case")]
    LateApply {
        /// How late; the vendor asks clients to wait 120 s.
        #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
        by: Duration,
    },
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Status,
    Token,
    ReadConfiguration,
    WriteConfiguration,
    Apply,
    Other,
}

impl Route {
    /// Whether it changes something, for which a user needs a right of its own.
    pub(super) const fn is_write(self) -> bool {
        matches!(self, Self::WriteConfiguration | Self::Apply)
    }
}

impl Fault {
    /// Whether it happens at once and does not stand after that.
    pub(super) const fn passes_by_itself(&self) -> bool {
        matches!(
            self,
            Self::Restart { .. } | Self::WrongBoots { .. } | Self::ExpiredToken
        )
    }

    /// The status that every request gets, for the faults that are just that.
    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized => Some(401),
            Self::Forbidden => Some(403),
            Self::NotFound => Some(404),
            Self::ServerError => Some(500),
            Self::Unavailable => Some(503),
            _ => None,
        }
    }

    /// The status that a request gets which has been let in.
    pub(super) fn refuses(&self, route: Route) -> Option<u16> {
        match self {
            Self::ReadOnly if route.is_write() => Some(403),
            Self::BusyConfiguration if route.is_write() => Some(503),
            Self::FailingApply if route == Route::Apply => Some(500),
            _ => None,
        }
    }

    /// Whether a request gets no answer for now.
    pub(super) fn hangs(&self, route: Route) -> bool {
        match self {
            Self::Hang => true,
            Self::HangOnWrite => route == Route::WriteConfiguration,
            Self::HangOnApply => route == Route::Apply,
            _ => false,
        }
    }

    /// How long a request takes that changes something.
    pub(super) fn delays(&self, route: Route) -> Option<Duration> {
        match self {
            Self::SlowChange { by } if route.is_write() => Some(*by),
            _ => None,
        }
    }

    /// Whether a request gets no answer although it was carried out.
    pub(super) fn cuts_answer(&self, route: Route) -> bool {
        match self {
            Self::CutAfterWrite => route == Route::WriteConfiguration,
            Self::CutAfterApply => route == Route::Apply,
            _ => false,
        }
    }

    /// The keys to leave out of the status document.
    pub(super) fn missing_keys(&self) -> &[String] {
        if let Self::MissingKeys { keys } = self {
            keys
        } else {
            &[]
        }
    }
}

/// The keys that a client can least do without.
pub(super) fn default_missing_keys() -> Vec<String> {
    ["system-information", "slots", "events"]
        .map(str::to_owned)
        .to_vec()
}

/// Reads a duration as scenario files write it: `"5s"`, `"250ms"`, `"1m 30s"`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "it is negative".to_owned())
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn write_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{}ms", duration.as_millis()))
}
