//! What is asked of a device. Each future owns what it uses, and gives it back with the answer.

use std::time::Duration;

use tokio::time::timeout;

use super::input::{Conversation, Input, Polled, Selection};
use crate::lantime::relay_events::{Backend, DeviceGuard, Selections, read, select};
use crate::lantime::rest::client::Paths;
use crate::lantime::rest::status::StatusReader;
use crate::lantime::rest::{Profiles, RestClient, RestError};
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::status::{SnmpStatus, objects};
use crate::model::{ErrorKind, ErrorReport};

/// A device's REST API, and how its answers are read.
#[derive(Debug)]
pub(super) struct Rest {
    client: RestClient,
    profiles: Profiles,
    documents: StatusReader,
}

impl Rest {
    pub(super) fn new(client: RestClient, profiles: Profiles) -> Rest {
        Rest {
            client,
            profiles,
            documents: StatusReader::default(),
        }
    }

    async fn status(&mut self, version: Option<u32>) -> Result<Polled, RestError> {
        let Rest {
            client,
            profiles,
            documents,
        } = self;
        // The answer is needed to know the profile, the profile to ask: the paths are those of the profile
        // that read the last answer, and before the first, of the newest.
        let profile = profiles.for_version(version);
        let answer = client.status(Paths::from(profile)).await?;
        let read = documents.read(&answer.body, profiles, client.url());
        let (snapshot, timing) = read.map_err(|error| {
            let url = format!("{}{}", client.url(), profile.status.path);
            answer.not_understood(&url, &error)
        })?;
        let profile = profiles.for_version(snapshot.api_major());
        let firmware = snapshot.identity.firmware.as_deref();
        if firmware.is_some_and(|firmware| profile.has_tokens(firmware)) {
            client.use_tokens();
        }
        Ok(Polled {
            snapshot,
            timing,
            round_trip: answer.round_trip,
        })
    }

    fn backend(&mut self, version: Option<u32>) -> Backend<'_> {
        Backend::Rest(&mut self.client, self.profiles.for_version(version))
    }

    /// What the requests that have ended leave behind.
    fn conversation(&mut self) -> Conversation {
        Conversation {
            sessions: self.client.take_sessions(),
            busy_until: self.client.busy_until(),
        }
    }
}

/// Asks for the status document.
pub(super) async fn poll(mut rest: Box<Rest>, version: Option<u32>) -> (Box<Rest>, Input) {
    let polled = Box::new(rest.status(version).await);
    let conversation = rest.conversation();
    (rest, Input::Polled(polled, conversation))
}

/// Reads what switches the relays.
pub(super) async fn read_over_rest(
    mut rest: Box<Rest>,
    version: Option<u32>,
    selections: Selections,
) -> (Box<Rest>, Input) {
    let found = read(&mut rest.backend(version), &selections).await;
    let conversation = rest.conversation();
    (rest, Input::SelectionsRead(found, Some(conversation)))
}

/// Reads what switches the relays.
pub(super) async fn read_over_snmp(
    mut manager: Box<Manager>,
    selections: Selections,
) -> (Box<Manager>, Input) {
    let found = read(&mut Backend::Snmp(&mut manager), &selections).await;
    (manager, Input::SelectionsRead(found, None))
}

/// Selects the events that switch a relay.
pub(super) async fn select_over_rest(
    mut rest: Box<Rest>,
    version: Option<u32>,
    mut guard: DeviceGuard,
    (request, progress): Selection,
) -> (Box<Rest>, Input) {
    let selected = select(&mut rest.backend(version), &mut guard, &request, &progress).await;
    let conversation = rest.conversation();
    (rest, Input::Selected(selected, Some(conversation)))
}

/// Selects the events that switch the relays.
pub(super) async fn select_over_snmp(
    mut manager: Box<Manager>,
    mut guard: DeviceGuard,
    (request, progress): Selection,
) -> (Box<Manager>, Input) {
    let selected = select(&mut Backend::Snmp(&mut manager), &mut guard, &request, &progress).await;
    (manager, Input::Selected(selected, None))
}

/// Asks for the status over SNMP, for so long at most.
pub(super) async fn read_snmp(mut manager: Box<Manager>, within: Duration) -> (Box<Manager>, Input) {
    let read = timeout(within, read_status(&mut manager)).await;
    let read = read.unwrap_or_else(|_| {
        manager.reset();
        Err(late(within))
    });
    (manager, Input::SnmpRead(read))
}

async fn read_status(manager: &mut Manager) -> Result<SnmpStatus, ErrorReport> {
    let objects = objects();
    let values = manager.get_many(&objects).await;
    let values = values.map_err(|SnmpFailure { report, .. }| report)?;
    let there = objects.into_iter().zip(values);
    let there: Vec<_> = there.filter_map(|(oid, value)| Some((oid, value?))).collect();
    let status = SnmpStatus::read(&there);
    if status.is_usable() {
        return Ok(status);
    }
    let message = "the device's SNMP agent reports nothing of its clocks";
    let remedy = "let the user or the community read 1.3.6.1.4.1.5597.30 (MBG-SNMP-LTNG-MIB), or set snmp.read = \"off\"";
    Err(ErrorReport::new(ErrorKind::Snmp, message, remedy))
}

fn late(within: Duration) -> ErrorReport {
    let message = format!("the device's SNMP agent gives no answer within {within:?}");
    let remedy = "check the device's snmp.community or snmp.user (an agent gives no answer to those it does not know), and that the agent is up and reachable";
    ErrorReport::new(ErrorKind::Timeout, message, remedy)
}
