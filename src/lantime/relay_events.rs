//! Which events switch relays A and C of a device: read now and then, and selected by commands. One algorithm, by two
//! backends: over REST with the assumed entries of the API profile, or over SNMP with the objects of the vendor's MIB.
//!
//! Plain functions that use a backend while they run, and a state ([`Selections`]) that uses none. Whoever owns both
//! decides when.

mod actions;
mod configuration;
mod desired;
mod errors;
mod place;
mod progress;
mod rest;
mod selections;
mod snmp;
mod warnings;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::rest::{Profile, RestClient};
use super::snmp::manager::Manager;
use crate::fault_point;
use crate::model::{ErrorReport, EventState, EventsChange, Outcome, RelayPlace, Via};
use configuration::Staged;
pub use configuration::{Plan, RelayConfig};
pub(crate) use errors::{Failure, too_late};
use errors::{changed_meanwhile, held_by_another, unverified};
pub(crate) use progress::{Applying, Progress};
pub use rest::ReadError;
pub(crate) use selections::{Found, Selections};
use warnings::warnings;

/// The way to a device.
#[derive(Debug)]
pub(crate) enum Backend<'a> {
    /// Its REST API, by that profile.
    Rest(&'a mut RestClient, &'a Profile),
    /// Its SNMP agent.
    Snmp(&'a mut Manager),
}

/// A command that selects the events of a relay.
#[derive(Debug)]
pub(crate) struct Request {
    /// The relay.
    pub(crate) place: RelayPlace,
    /// What to change.
    pub(crate) change: EventsChange,
    /// The events that the device lists.
    pub(crate) events: Arc<[EventState]>,
    /// When it is given up.
    pub(crate) deadline: Instant,
    /// Whether an earlier run of this program, or an earlier task, may have written something for it.
    pub(crate) is_repeated: bool,
    /// Whether the device's owner allows writes by entries of a profile that nobody has seen on a device.
    pub(crate) allow_unverified_writes: bool,
    /// What is known at its beginning.
    pub(crate) selections: Selections,
}

/// The events were selected, and read back.
#[derive(Debug)]
pub(crate) struct Selected {
    /// The answer to the command.
    pub(crate) outcome: Outcome,
    /// What was read back.
    pub(crate) found: Found,
}

/// Reads which events switch the relays.
///
/// # Errors
/// When the device does not answer, or not as the profile or the MIB says.
pub(crate) async fn read(backend: &mut Backend<'_>, selections: &Selections) -> Result<Found, ErrorReport> {
    let config = backend.read().await?;
    Ok(backend.found(&config, &selections.places))
}

/// Selects the events of a relay: reads what stands, writes what differs, has it applied, and reads back. It may be
/// interrupted at any time: `progress` says how far it has come. Called again with that, it goes on where it was.
///
/// # Errors
/// When it is refused, here or by the device, when somebody else changes the same, when the device does not answer, or
/// at the deadline.
pub(crate) async fn select(
    backend: &mut Backend<'_>,
    request: &Request,
    progress: &watch::Sender<Progress>,
) -> Result<Selected, Failure> {
    let in_time = timeout_at(request.deadline, carry_out(backend, request, progress)).await;
    in_time.unwrap_or_else(|_| Err(too_late(&progress.borrow(), backend.via()).into()))
}

async fn carry_out(
    backend: &mut Backend<'_>,
    request: &Request,
    progress: &watch::Sender<Progress>,
) -> Result<Selected, Failure> {
    let prior = progress.borrow().clone();
    let word = backend.word(&request.place);
    let mut changed = request.is_repeated || prior.has_written();
    let (plan, after) = if let Progress::Applied(plan) = prior {
        (plan, backend.read().await?)
    } else {
        request.check_permission(backend)?;
        let before = backend.read().await?;
        let desired = before.desired(&word, &request.change, &request.events)?;
        let plan = before.plan(&word, &desired);
        let is_left = request.is_left(&before, &plan, &word, changed)?;
        if plan.is_empty() && !is_left {
            (plan, before)
        } else {
            changed = true;
            // Without an answer it may have arrived all the same: so from now on, unless it is undone.
            progress.send_replace(Progress::Staged(plan.staged()));
            if let Err(failure) = backend.bring_into_force(&plan, request.deadline, progress).await {
                if failure.is_undone {
                    progress.send_replace(prior);
                }
                return Err(failure);
            }
            (plan, backend.read().await?)
        }
    };
    fault_point::reached("read-back");
    if !plan.is_confirmed_by(&after) {
        return Err(changed_meanwhile(plan.events(), &after.events_of(&word)).into());
    }
    let places = &request.selections.places;
    let is_reached = |place: &&RelayPlace| backend.word(place) == word;
    let outcome = Outcome::RelayEvents {
        slot: request.place.slot.clone(),
        relay: request.place.relay,
        events: plan.events().clone(),
        changed,
        applies_to: places.iter().filter(is_reached).cloned().collect(),
        warnings: warnings(plan.events(), &request.events),
        via: backend.via(),
    };
    let found = backend.found(&after, places);
    Ok(Selected { outcome, found })
}

impl Request {
    fn check_permission(&self, backend: &Backend<'_>) -> Result<(), ErrorReport> {
        match backend {
            Backend::Rest(_, profile)
                if !self.allow_unverified_writes && !profile.relay_events.is_write_seen() =>
            {
                Err(unverified(profile))
            }
            _ => Ok(()),
        }
    }

    /// Whether what was written before, by this command or another, is left to be applied.
    ///
    /// # Errors
    /// A conflict, when it is somebody else's.
    fn is_left(
        &self,
        before: &RelayConfig,
        plan: &Plan,
        word: &str,
        may_have_written: bool,
    ) -> Result<bool, ErrorReport> {
        let Selections {
            staged, is_settled, ..
        } = &self.selections;
        if before.via == Via::Snmp {
            // The MIB does not say what is pending, nor whose it is.
            return Ok(staged.is_some() || (may_have_written && !is_settled));
        }
        // Ours is what is pending if it is just what we have written, now or in an earlier attempt.
        let stands = Staged::new(word, before.events_of(word));
        let is_ours = (plan.is_empty() && may_have_written) || *staged == Some(stands);
        match before.is_pending && !is_ours {
            true => Err(held_by_another()),
            false => Ok(before.is_pending),
        }
    }
}

impl Backend<'_> {
    fn via(&self) -> Via {
        match self {
            Backend::Rest(..) => Via::Rest,
            Backend::Snmp(_) => Via::Snmp,
        }
    }

    /// The action that stands for a relay.
    fn word(&self, place: &RelayPlace) -> String {
        match self {
            Backend::Rest(_, profile) => profile.relay_events.word(&place.slot, place.relay),
            Backend::Snmp(_) => snmp::RELAY.to_owned(),
        }
    }

    fn found(&self, config: &RelayConfig, places: &[RelayPlace]) -> Found {
        let events = |place: &RelayPlace| (place.clone(), config.events_of(&self.word(place)));
        Found {
            via: config.via,
            is_pending: config.is_pending,
            events: places.iter().map(events).collect(),
        }
    }

    async fn read(&mut self) -> Result<RelayConfig, ErrorReport> {
        match self {
            Backend::Rest(client, profile) => rest::read(client, profile).await,
            Backend::Snmp(manager) => snmp::read(manager).await,
        }
    }

    /// Writes it, and has it applied.
    async fn bring_into_force(
        &mut self,
        plan: &Plan,
        deadline: Instant,
        progress: &watch::Sender<Progress>,
    ) -> Result<(), Failure> {
        match self {
            Backend::Rest(client, profile) => rest::write(client, profile, plan).await?,
            Backend::Snmp(manager) => snmp::write(manager, plan).await?,
        }
        fault_point::reached("written");
        match self {
            Backend::Rest(client, profile) => Ok(rest::apply(client, profile, deadline).await?),
            Backend::Snmp(manager) => snmp::apply(manager, plan, deadline, progress).await,
        }
    }
}
