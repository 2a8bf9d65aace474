//! What is asked of a device. Each future owns what it uses, and gives it back with the answer.

use std::time::Duration;

use tokio::time::timeout;

use super::input::{Conversation, Input, Polled, Selection};
use crate::lantime::relay_events::{Backend, Selections, read, select};
use crate::lantime::rest::client::Paths;
use crate::lantime::rest::{Profiles, RestClient, RestError, status};
use crate::lantime::snmp::manager::{Manager, SnmpFailure};
use crate::lantime::snmp::status::{SnmpStatus, objects};
use crate::model::{ErrorKind, ErrorReport};

/// Asks for the status document.
pub(super) async fn poll(
    mut client: RestClient,
    profiles: Profiles,
    version: Option<u32>,
) -> (RestClient, Input) {
    let polled = Box::new(read_document(&mut client, &profiles, version).await);
    let conversation = conversation(&mut client);
    (client, Input::Polled(polled, conversation))
}

async fn read_document(
    client: &mut RestClient,
    profiles: &Profiles,
    version: Option<u32>,
) -> Result<Polled, RestError> {
    // The answer is needed to know the profile, the profile to ask: the paths are those of the profile
    // that read the last answer, and before the first, of the newest.
    let profile = profiles.for_version(version);
    let answer = client.status(Paths::from(profile)).await?;
    let read = status::snapshot_and_timing(&answer.body, profiles, client.url());
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

/// What the requests that have ended leave behind.
fn conversation(client: &mut RestClient) -> Conversation {
    Conversation {
        sessions: client.take_sessions(),
        busy_until: client.busy_until(),
    }
}

/// Reads what switches the relays.
pub(super) async fn read_over_rest(
    mut client: RestClient,
    profiles: Profiles,
    version: Option<u32>,
    selections: Selections,
) -> (RestClient, Input) {
    let mut backend = Backend::Rest(&mut client, profiles.for_version(version));
    let found = read(&mut backend, &selections).await;
    let conversation = conversation(&mut client);
    (client, Input::SelectionsRead(found, Some(conversation)))
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
    mut client: RestClient,
    profiles: Profiles,
    version: Option<u32>,
    (request, progress): Selection,
) -> (RestClient, Input) {
    let mut backend = Backend::Rest(&mut client, profiles.for_version(version));
    let selected = select(&mut backend, &request, &progress).await;
    let conversation = conversation(&mut client);
    (client, Input::Selected(selected, Some(conversation)))
}

/// Selects the events that switch the relays.
pub(super) async fn select_over_snmp(
    mut manager: Box<Manager>,
    (request, progress): Selection,
) -> (Box<Manager>, Input) {
    let selected = select(&mut Backend::Snmp(&mut manager), &request, &progress).await;
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
