//! Which events switch relays A and C of a device: read now and then, and selected by commands. One algorithm, by two
//! backends: over REST with the assumed entries of the API profile, or over SNMP with the objects of the vendor's MIB.
//!
//! Plain functions that use a backend while they run, and a state (`Selections`) that uses none. Whoever owns both
//! decides when.

mod actions;
mod configuration;
mod desired_events;
mod device_guard;
mod errors;
mod progress;
mod rest;
mod selections;
mod snmp;
#[cfg(test)]
mod tests;
mod warnings;
mod wiring_check;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::rest::profile::RelayEventsEntries;
use super::rest::{Profile, RestClient};
use super::snmp::manager::Manager;
use crate::fault_point;
use crate::model::derive::SelectedEvents;
use crate::model::{DeviceView, ErrorReport, EventsChange, Outcome, RelayPlace, Via};
pub use configuration::{Plan, RelayConfig};
pub(crate) use device_guard::DeviceGuard;
pub(crate) use errors::{Failure, too_late};
use errors::{changed_meanwhile, earlier_apply, held_by_another, unverified};
pub(crate) use progress::{Applying, Progress};
pub use rest::ReadError;
pub(crate) use selections::{Found, Selections};
use warnings::warnings;
use wiring_check::check_wiring;

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
    pub(crate) place: RelayPlace,
    pub(crate) change: EventsChange,
    /// What is published of the device.
    pub(crate) view: Arc<DeviceView>,
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
/// Before each request that changes something, `guard` is asked.
///
/// # Errors
/// When it is refused, here or by the device, when somebody else changes the same, when the device does not answer, or
/// at the deadline.
pub(crate) async fn select(
    backend: &mut Backend<'_>,
    guard: &mut DeviceGuard,
    request: &Request,
    progress: &watch::Sender<Progress>,
) -> Result<Selected, Failure> {
    let in_time = timeout_at(request.deadline, carry_out(backend, guard, request, progress)).await;
    in_time.unwrap_or_else(|_| Err(too_late(&progress.borrow(), backend.via()).into()))
}

async fn carry_out(
    backend: &mut Backend<'_>,
    guard: &mut DeviceGuard,
    request: &Request,
    progress: &watch::Sender<Progress>,
) -> Result<Selected, Failure> {
    let prior = progress.borrow().clone();
    request.check(backend, &prior)?;
    let action = backend.action(&request.place);
    let events = &request.view.events;
    let mut changed = request.is_repeated || prior.has_written();
    let (plan, after) = if let Progress::Applied(plan) = prior {
        (plan, backend.read().await?)
    } else {
        guard.check().await?;
        let before = backend.read().await?;
        let plan = before.plan(&action, &before.desired(&action, &request.change, events)?);
        let is_left = request.is_left(&before, &plan, changed)?;
        if plan.is_empty() && !is_left {
            (plan, before)
        } else {
            changed = true;
            // Without an answer it may have arrived all the same: so from now on, unless it is undone.
            progress.send_replace(Progress::Staged(plan.staged().clone()));
            let in_force = backend.bring_into_force(&plan, guard, request.deadline, progress);
            if let Err(failure) = in_force.await {
                if failure.is_undone {
                    progress.send_replace(prior);
                }
                return Err(failure);
            }
            (plan, backend.read().await?)
        }
    };
    fault_point::reached("read-back");
    let desired = &plan.staged().events;
    if !plan.is_confirmed_by(&after) {
        return Err(changed_meanwhile(desired, &plan.found(&after).events).into());
    }
    let places = &request.selections.places;
    let is_reached = |place: &&RelayPlace| backend.action(place) == action;
    let outcome = Outcome::RelayEvents {
        slot: request.place.slot.clone(),
        relay: request.place.relay,
        events: desired.clone(),
        changed,
        applies_to: places.iter().filter(is_reached).cloned().collect(),
        warnings: warnings(desired, events),
        via: after.via,
    };
    let found = backend.found(&after, places);
    Ok(Selected { outcome, found })
}

impl Request {
    /// Whether it can be carried out now, as far as is known without the device. [`select`] checks that, too.
    ///
    /// # Errors
    /// A refusal where the relay is not wired so, or its owner does not allow the write; busy while an earlier command
    /// to apply is in flight.
    pub(crate) fn check(&self, backend: &Backend<'_>, progress: &Progress) -> Result<(), ErrorReport> {
        if matches!(progress, Progress::Applied(_)) {
            return Ok(());
        }
        check_wiring(&self.view, &self.place)?;
        let is_allowed =
            |entries: &RelayEventsEntries| self.allow_unverified_writes || entries.is_write_seen();
        match backend {
            Backend::Rest(_, profile) if !is_allowed(&profile.relay_events) => Err(unverified(profile)),
            Backend::Snmp(_) if self.selections.is_applying => Err(earlier_apply()),
            _ => Ok(()),
        }
    }

    /// Whether what was written before, by this command or another, is left to be applied.
    ///
    /// # Errors
    /// A conflict, when it is somebody else's.
    fn is_left(&self, before: &RelayConfig, plan: &Plan, is_repeated: bool) -> Result<bool, ErrorReport> {
        let known = &self.selections;
        if before.via == Via::Snmp {
            // The MIB does not say what is pending, nor whose it is.
            return Ok(known.staged.is_some() || (is_repeated && !known.is_settled));
        }
        // Ours is what is pending if it is just what we have written, now or in an earlier attempt.
        let is_ours =
            (plan.is_empty() && is_repeated) || known.staged.as_deref() == Some(&plan.found(before));
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
    fn action(&self, place: &RelayPlace) -> String {
        match self {
            Backend::Rest(_, profile) => profile.relay_events.action(&place.slot, place.relay),
            Backend::Snmp(_) => snmp::RELAY.to_owned(),
        }
    }

    fn found(&self, config: &RelayConfig, places: &[RelayPlace]) -> Found {
        let selection = |place: &RelayPlace| SelectedEvents {
            events: config.events_of(&self.action(place)).into_iter().collect(),
            via: config.via,
            confirmed: true,
        };
        let key = |place: &RelayPlace| (place.slot.clone(), place.relay);
        Found {
            via: config.via,
            is_pending: config.is_pending,
            events: places
                .iter()
                .map(|place| (key(place), selection(place)))
                .collect(),
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
        guard: &DeviceGuard,
        deadline: Instant,
        progress: &watch::Sender<Progress>,
    ) -> Result<(), Failure> {
        match self {
            Backend::Rest(client, profile) => rest::write(client, profile, plan, guard).await?,
            Backend::Snmp(manager) => snmp::write(manager, plan, guard).await?,
        }
        fault_point::reached("written");
        match self {
            Backend::Rest(client, profile) => Ok(rest::apply(client, profile, guard, deadline).await?),
            Backend::Snmp(manager) => snmp::apply(manager, plan, guard, deadline, progress).await,
        }
    }
}
