//! What the web server of a device asks of it: sockets are the server's, answers are the responder's.

use super::SimulatedDevice;
use crate::simulator::auth::Presented;
use crate::simulator::configuration::WriteData;
use crate::simulator::document;
use crate::simulator::fault::{Fault, Route};
use crate::simulator::observe::{ChangeRequest, LastAnswer};
use bytes::Bytes;
use hyper::header::HeaderMap;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// What a request's credentials are worth.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Access {
    /// They are good; whether they are user and password, as a token request needs.
    Granted { basic: bool },
    /// There are none, or they are refused.
    Refused,
}

impl SimulatedDevice {
    /// Whether its web server listens; its SNMP agent does not answer either while it does not.
    pub(in crate::simulator) fn set_listening(&self, listening: bool) {
        self.listening.send_replace(listening);
        if let Some(side) = self.snmp.as_ref().filter(|_| !listening) {
            side.answering().send_replace(false);
        }
    }

    /// Waits for an order to restart, and carries out what the device itself has to do: how long it stays
    /// down is for the server.
    pub(in crate::simulator) async fn restart_ordered(&self) -> Duration {
        loop {
            self.restart_asked.notified().await;
            let mut state = self.state();
            if let Some(restart) = state.restart.take() {
                state.tokens.expire();
                state.boots = restart.boots;
                return restart.down;
            }
        }
    }

    /// Begins a new life after a restart.
    pub(in crate::simulator) fn restart(&self) {
        let mut state = self.state();
        state.world.restart(Timestamp::now());
        state.status.invalidate();
    }

    /// Waits until no fault keeps the answer back.
    pub(in crate::simulator) async fn wait_while_hanging(&self, route: Route) {
        self.wait_fault(|fault| !fault.is_some_and(|fault| fault.hangs(route)))
            .await;
    }

    /// Counts a request and gives the fault that stands.
    pub(in crate::simulator) fn begin(&self, route: Route) -> Option<Fault> {
        let mut state = self.state();
        state.seen.request(route == Route::Status);
        state.fault.clone()
    }

    pub(in crate::simulator) fn connected(&self) {
        self.state().seen.counters.connections += 1;
    }

    /// Judges the credentials of a request, and counts refused ones.
    pub(in crate::simulator) fn authorize(&self, headers: &HeaderMap) -> Access {
        match self.user.check(headers) {
            Presented::Basic(true) => Access::Granted { basic: true },
            Presented::Basic(false) => {
                self.state().seen.counters.failed_logins += 1;
                Access::Refused
            }
            Presented::Bearer(token) => {
                let mut state = self.state();
                if self.kind.api.has_tokens() && state.tokens.accepts(token) {
                    return Access::Granted { basic: false };
                }
                state.seen.counters.refused_tokens += 1;
                Access::Refused
            }
            Presented::Nothing => Access::Refused,
        }
    }

    /// Whether the user may change the configuration.
    pub(in crate::simulator) fn may_write(&self) -> bool {
        self.user.may_write
    }

    /// Counts a login that the fault 401 refuses whatever it shows.
    pub(in crate::simulator) fn refuse(&self, headers: &HeaderMap) {
        let mut state = self.state();
        match self.user.check(headers) {
            Presented::Basic(_) => state.seen.counters.failed_logins += 1,
            Presented::Bearer(_) => state.seen.counters.refused_tokens += 1,
            Presented::Nothing => (),
        }
    }

    pub(in crate::simulator) fn issue_token(&self) -> String {
        let mut state = self.state();
        state.seen.counters.tokens_issued += 1;
        state.tokens.issue()
    }

    /// The status document for an answer that leaves whole, noted as such.
    pub(in crate::simulator) fn answer_whole(&self) -> Bytes {
        let mut state = self.state();
        let generation = state.world.generation();
        state.seen.answered_whole(generation);
        state.document(&self.identity, Timestamp::now())
    }

    /// The configuration, for an answer.
    pub(in crate::simulator) fn configuration(&self) -> Bytes {
        let mut state = self.state();
        state.seen.counters.configuration_reads += 1;
        document::configuration(&self.identity, &state.world).into()
    }

    /// Takes a change of the configuration in; what comes back in a refusal is its status and reason.
    pub(in crate::simulator) fn write(&self, write: &WriteData) -> Result<(), (u16, String)> {
        let mut state = self.state();
        let revision = state.world.configuration.revision();
        if write.revision != revision {
            let reason = format!("revision {} is stale: it is {revision} now", write.revision);
            return Err((409, reason));
        }
        let written = self.change_state(&mut state, |world| world.write(&write.events));
        written.map_err(|refusal| (422, refusal.to_string()))?;
        state.seen.counters.configuration_writes += 1;
        Ok(())
    }

    /// Lets the configuration take effect as it is.
    pub(in crate::simulator) fn apply_configuration(&self) {
        let mut state = self.state();
        self.change_state(&mut state, |world| world.apply_changes(Timestamp::now()));
        state.seen.counters.applies += 1;
    }

    /// Notes a request that has changed something.
    pub(in crate::simulator) fn changed(&self, route: Route, host: String, began: Instant) {
        let request = ChangeRequest {
            host,
            is_apply: route == Route::Apply,
            began,
            ended: Instant::now(),
        };
        self.state().seen.changed(request);
    }

    pub(in crate::simulator) fn answered(&self, status: u16) {
        let mut state = self.state();
        let generation = state.world.generation();
        state.seen.last_answer = Some(LastAnswer {
            status,
            generation,
            at: Instant::now(),
        });
    }
}
