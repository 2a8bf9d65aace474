//! A disk of which a test decides what works.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use redb::StorageBackend;

use super::PATIENCE;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// It cannot grow.
    Full,
    /// Nothing works.
    Dead,
    /// What is written is there, but cannot be made sure of.
    NoSync,
    /// Writing makes the database panic.
    Panic,
}

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    syncs: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// What is sure to be there after a crash.
    synced: Vec<u8>,
    fault: Fault,
    is_held: bool,
}

impl Disk {
    pub(super) fn set(&self, fault: Fault) {
        self.0.state.lock().unwrap().fault = fault;
    }

    /// Makes every sync wait, until [`release`](Disk::release).
    pub(super) fn hold(&self) {
        self.0.state.lock().unwrap().is_held = true;
    }

    pub(super) fn release(&self) {
        self.0.state.lock().unwrap().is_held = false;
        self.0.changed.notify_all();
    }

    /// How often something was made sure to be on the disk.
    pub(super) fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// Waits until there were so many syncs.
    pub(super) fn until_synced(&self, count: usize) {
        let state = self.0.state.lock().unwrap();
        let is_early = |_: &mut State| self.syncs() < count;
        let waited = self.0.changed.wait_timeout_while(state, PATIENCE, is_early);
        assert!(!waited.unwrap().1.timed_out(), "{count} syncs: never seen");
    }

    /// The disk as a crash leaves it.
    pub(super) fn after_crash(&self) -> Disk {
        let disk = Disk::default();
        let synced = self.0.state.lock().unwrap().synced.clone();
        let mut state = disk.0.state.lock().unwrap();
        state.bytes.clone_from(&synced);
        state.synced = synced;
        drop(state);
        disk
    }

    fn with<T>(
        &self,
        is_allowed: impl FnOnce(Fault, &State) -> bool,
        work: impl FnOnce(&mut State) -> T,
    ) -> Result<T, Error> {
        let mut state = self.0.state.lock().unwrap();
        let fault = state.fault;
        if is_allowed(fault, &state) {
            return Ok(work(&mut state));
        }
        // The lock must not be poisoned.
        drop(state);
        match fault {
            Fault::Panic => panic!("a fault of the database"),
            Fault::Full => Err(ErrorKind::StorageFull.into()),
            _ => Err(Error::other("the disk is dead")),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        self.with(|fault, _| fault != Fault::Dead, |state| state.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let offset = usize::try_from(offset).unwrap();
        self.with(
            |fault, _| fault != Fault::Dead,
            |state| out.copy_from_slice(&state.bytes[offset..offset + out.len()]),
        )
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let len = usize::try_from(len).unwrap();
        let is_allowed = |fault, state: &State| match fault {
            Fault::Dead => false,
            Fault::Full => len <= state.bytes.len(),
            _ => true,
        };
        self.with(is_allowed, |state| state.bytes.resize(len, 0))
    }

    fn sync_data(&self) -> Result<(), Error> {
        let state = self.0.state.lock().unwrap();
        drop(self.0.changed.wait_while(state, |state| state.is_held).unwrap());
        let is_allowed = |fault, _: &State| !matches!(fault, Fault::Dead | Fault::NoSync);
        self.with(is_allowed, |state| {
            state.synced.clone_from(&state.bytes);
            self.0.syncs.fetch_add(1, Ordering::SeqCst);
            self.0.changed.notify_all();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let offset = usize::try_from(offset).unwrap();
        let is_allowed = |fault, _: &State| !matches!(fault, Fault::Dead | Fault::Panic);
        self.with(is_allowed, |state| {
            state.bytes[offset..offset + data.len()].copy_from_slice(data);
        })
    }
}
