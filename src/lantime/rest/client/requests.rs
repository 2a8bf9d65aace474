//! Which requests there are, and where the profile says that they go.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::{Answer, Ask, RestClient};
use crate::lantime::rest::error::RestError;
use crate::lantime::rest::profile::{Profile, WriteLocation, WriteMethod};
use crate::model::Operation;

/// Where the API is, as the profile says.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// Of the status document.
    pub status: &'a str,
    /// Of API tokens.
    pub token: &'a str,
    /// The token in the answer, as a JSON pointer.
    pub token_pointer: &'a str,
}

impl<'a> From<&'a Profile> for Paths<'a> {
    fn from(profile: &'a Profile) -> Paths<'a> {
        Paths {
            status: &profile.status.path,
            token: &profile.token.path,
            token_pointer: &profile.token.pointer,
        }
    }
}

impl RestClient {
    /// Asks for the status document. A token that is refused is renewed once.
    ///
    /// # Errors
    /// When there is no answer in time, or none with status 200.
    pub async fn status(&mut self, paths: Paths<'_>) -> Result<Answer, RestError> {
        let ask = self.request(Operation::Poll, Method::GET, paths.status);
        self.ask(&ask, paths).await
    }

    /// Asks for the configuration that chooses the events of the relays: see
    /// [`RelayConfig`](crate::lantime::relay_events::RelayConfig).
    ///
    /// # Errors
    /// When there is no answer in time, or none with status 200.
    pub async fn relay_events(&mut self, profile: &Profile) -> Result<Bytes, RestError> {
        let path = &profile.relay_events.read.path;
        let ask = self.request(Operation::RelayEvents, Method::GET, path);
        let result = self.ask(&ask, profile.into()).await;
        let body = result.map(|answer| answer.body);
        body.map_err(|error| error.of_entry("relay_events.read", &profile.name))
    }

    /// Writes a change of that configuration. It is sent once; again only if the device has refused the
    /// token that came with it.
    ///
    /// # Errors
    /// When the device refuses it, and when there is no answer in time: then it may or may not have been taken.
    pub async fn write_relay_events(&mut self, profile: &Profile, body: Bytes) -> Result<(), RestError> {
        let ask = Ask {
            body: Some(body),
            ..self.change(&profile.relay_events.write)
        };
        let result = self.ask(&ask, profile.into()).await.map(drop);
        result.map_err(|error| error.of_entry("relay_events.write", &profile.name))
    }

    /// How long a write may take in all: a token, the write, and both again.
    pub fn longest_write(&self) -> Duration {
        self.timeout * 4
    }

    /// Makes what was written take effect, for which a device may need longer than for anything else. Sent as
    /// often as a write is.
    ///
    /// # Errors
    /// As [`Self::write_relay_events`].
    pub async fn apply(&mut self, profile: &Profile, timeout: Duration) -> Result<(), RestError> {
        let ask = Ask {
            timeout,
            ..self.change(&profile.relay_events.apply)
        };
        let result = self.ask(&ask, profile.into()).await.map(drop);
        result.map_err(|error| error.of_entry("relay_events.apply", &profile.name))
    }

    fn change<'a>(&self, location: &'a WriteLocation) -> Ask<'a> {
        let method = match location.method {
            WriteMethod::Put => Method::PUT,
            WriteMethod::Post => Method::POST,
            WriteMethod::Patch => Method::PATCH,
        };
        self.request(Operation::RelayEvents, method, &location.path)
    }
}
