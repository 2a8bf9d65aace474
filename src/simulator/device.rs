//! One simulated device: its world, its standing fault, and what it has seen of its clients, as those who play with it
//! see it. What its own web server and its SNMP side ask of it have files of their own.

mod snmp;
pub(super) mod web;

use super::action::{Action, ActionError};
use super::auth::{Tokens, User};
use super::device_kind::DeviceKind;
use super::document::Identity;
use super::fault::Fault;
use super::observe::{ChangeRequest, Counters, LastAnswer, Observations};
use super::snmp::Endpoint;
use super::status::StatusCache;
use super::world::World;
use bytes::Bytes;
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// A LANTIME that is not there. Everything on it may be called from any task, at any time.
pub struct SimulatedDevice {
    id: String,
    identity: Identity,
    kind: DeviceKind,
    address: SocketAddr,
    user: Arc<User>,
    snmp: Option<Endpoint>,
    state: Mutex<State>,
    /// The fault that stands, for those that wait for its end.
    standing: watch::Sender<Option<Fault>>,
    listening: watch::Sender<bool>,
    restart_asked: Notify,
}

struct State {
    world: World,
    fault: Option<Fault>,
    status: StatusCache,
    tokens: Tokens,
    seen: Observations,
    restart: Option<Restart>,
    /// How often its SNMP engine has been started.
    boots: u32,
}

/// A restart that was ordered.
struct Restart {
    down: Duration,
    /// The boots of the SNMP engine after it.
    boots: u32,
}

impl SimulatedDevice {
    pub(super) fn new(
        number: usize,
        kind: DeviceKind,
        address: SocketAddr,
        https: bool,
        user: Arc<User>,
        snmp: Option<Endpoint>,
    ) -> Self {
        let scheme = if https { "https" } else { "http" };
        let identity = Identity {
            number,
            hostname: format!("lantime-{number}.sim.example"),
            url: format!("{scheme}://{}", reachable(address)),
        };
        let state = State {
            world: World::new(kind, https, Timestamp::now()),
            fault: None,
            status: StatusCache::default(),
            tokens: Tokens::default(),
            seen: Observations::default(),
            restart: None,
            boots: Endpoint::initial_boots(),
        };
        Self {
            id: format!("sim-{number}"),
            identity,
            kind,
            address,
            user,
            snmp,
            state: Mutex::new(state),
            standing: watch::Sender::new(None),
            listening: watch::Sender::new(false),
            restart_asked: Notify::new(),
        }
    }

    /// Its name in scenarios and in the bridge's configuration: `sim-1`, `sim-2`, ..
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where its web server is: `http://127.0.0.1:8001`, without a path.
    pub fn url(&self) -> &str {
        &self.identity.url
    }

    /// The address that its web server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What kind of device it is.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// Its host name, as its document has it.
    pub fn hostname(&self) -> &str {
        &self.identity.hostname
    }

    /// Its chassis's serial number, as its document has it.
    pub fn serial_number(&self) -> String {
        self.identity.serial_number()
    }

    /// A copy of its world as it is now.
    pub fn world(&self) -> World {
        self.state().world.clone()
    }

    /// Moves its world now. The generation that comes back is carried by every status document from then
    /// on: see [`Self::answered_at`].
    ///
    /// # Errors
    /// When the action is impossible on this kind of device; nothing has changed then.
    pub fn apply(&self, action: &Action) -> Result<u64, ActionError> {
        self.change(|world| world.apply(action, Timestamp::now()))
    }

    /// Moves its world as if it were `at` then, and notifies nobody: for a history that is made up. Give it what comes first
    /// first.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    pub fn apply_at(&self, action: &Action, at: Timestamp) -> Result<(), ActionError> {
        let mut state = self.state();
        state.world.apply(action, at)?;
        state.status.world_changed();
        Ok(())
    }

    /// Lets a fault stand in place of the one before, or none. [`Fault::Restart`], [`Fault::WrongBoots`] and
    /// [`Fault::ExpiredToken`] act at once and pass by themselves: no fault stands after them.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.status.invalidate();
        state.fault = None;
        match fault {
            Some(Fault::ExpiredToken) => state.tokens.expire(),
            Some(Fault::Restart { down }) => {
                let boots = state.boots + 1;
                self.order_restart(&mut state, Restart { down, boots });
            }
            Some(Fault::WrongBoots { down }) => {
                // 1 would be no boots before the one that is counted.
                let boots = (state.boots - 1).max(2);
                self.order_restart(&mut state, Restart { down, boots });
            }
            Some(Fault::StaleStatus) => {
                state.document(&self.identity, Timestamp::now());
                state.status.keep();
                state.fault = Some(Fault::StaleStatus);
            }
            standing => state.fault = standing,
        }
        self.standing.send_replace(state.fault.clone());
    }

    fn order_restart(&self, state: &mut State, restart: Restart) {
        state.restart = Some(restart);
        self.set_listening(false);
        self.restart_asked.notify_one();
    }

    /// The fault that stands.
    pub fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    /// Refuses the tokens given out so far.
    pub fn expire_tokens(&self) {
        self.state().tokens.expire();
    }

    /// What it has counted since the fleet was started.
    pub fn counters(&self) -> Counters {
        self.state().seen.counters
    }

    /// The latest answer that it gave, if any.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.state().seen.last_answer
    }

    /// When the first whole status document that carries the change of that generation was handed to a
    /// connection; `None` before that, and when more than a thousand changes ago.
    pub fn answered_at(&self, generation: u64) -> Option<Instant> {
        self.state().seen.answered_at(generation)
    }

    /// Notes from now on when status requests arrive, the latest `capacity` of them; 0 ends it.
    pub fn record_arrivals(&self, capacity: usize) {
        self.state().seen.record_arrivals(capacity);
    }

    /// The times noted since the last call, oldest first.
    pub fn take_arrivals(&self) -> Vec<Instant> {
        self.state().seen.take_arrivals()
    }

    /// The requests over REST that have changed something, in the order in which they were carried out: the latest 4,096.
    pub fn change_requests(&self) -> Vec<ChangeRequest> {
        self.state().seen.change_requests()
    }

    /// The status document that it would send now, without any fault that cuts or delays it.
    pub fn document(&self) -> Bytes {
        self.document_at(Timestamp::now())
    }

    /// The same as if it were `at` then.
    pub fn document_at(&self, at: Timestamp) -> Bytes {
        self.state().document(&self.identity, at)
    }

    /// Waits until it listens (`true`) or, in a restart, does not (`false`).
    pub async fn wait_listening(&self, listening: bool) {
        let mut changes = self.listening.subscribe();
        changes
            .wait_for(|now| *now == listening)
            .await
            .expect("the device owns the sender");
    }

    /// Waits until the fault that stands, or none, is as asked for.
    pub(super) async fn wait_fault(&self, is_it: impl Fn(Option<&Fault>) -> bool) {
        let mut changes = self.standing.subscribe();
        changes
            .wait_for(|fault| is_it(fault.as_ref()))
            .await
            .expect("the device owns the sender");
    }

    /// Moves its world now; receivers are notified over SNMP of what happened.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.change_state(&mut self.state(), change)
    }

    fn change_state<T>(&self, state: &mut State, change: impl FnOnce(&mut World) -> T) -> T {
        let before = self.snmp.as_ref().map(|side| (side, state.world.clone()));
        let changed = change(&mut state.world);
        state.status.world_changed();
        if let Some((side, before)) = before {
            side.notify_changes(&before, &state.world, Timestamp::now());
        }
        changed
    }

    /// A panic elsewhere leaves the state whole: every change to it is made in one go.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a client on this machine reaches a listener, which may be on all of its addresses.
fn reachable(mut listening: SocketAddr) -> SocketAddr {
    match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listening.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listening.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => (),
    }
    listening
}

impl State {
    fn document(&mut self, identity: &Identity, now: Timestamp) -> Bytes {
        let missing = self.fault.as_ref().map_or(&[][..], Fault::missing_keys);
        self.status.at(now, identity, &self.world, missing)
    }
}
