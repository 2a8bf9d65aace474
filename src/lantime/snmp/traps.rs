//! Takes traps and informs of all devices: a socket (`receiver`), and what finds the device of each (`intake`), whose
//! task decides about it.
//!
//! ```text
//! device --trap, inform--> receiver --Taken--> intake --DeviceTrap--> device task --record--> store
//!              <--------- acknowledgement -----------------receipt-----------------------------/
//! ```

mod counts;
mod held;
mod intake;
mod receipt;
mod receiver;
mod refusals;
mod replay;
mod senders;
mod trap;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_snmp::v3::AuthoritativeEngine;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use counts::Counts;
use intake::{Handles, Intake};
pub use receipt::{InformId, Receipt};
use receiver::Receiver;
pub use senders::{Configured, DeviceTrap, Sender, SenderIdentity};

use crate::config;
use crate::model::{Incident, Update};

/// Notifications that wait until their records are stored. Beyond it they are dropped and counted: the next poll shows
/// the events.
pub const WAITING: usize = 1024;

/// What takes traps and informs. It listens, and [`Self::run`] makes something of them.
pub struct Traps {
    intake: Intake,
    address: SocketAddr,
    counts: watch::Receiver<Counts>,
    receiver: CancellationToken,
    begin: oneshot::Sender<()>,
}

/// What the rest of the bridge gives.
#[derive(Debug)]
pub struct Setup {
    /// Where to listen, and whom to believe.
    pub traps: config::Traps,
    /// What this process is for senders of informs.
    pub engine: AuthoritativeEngine,
    /// The configured devices.
    pub senders: watch::Receiver<Configured>,
    /// Takes the reports of what is refused.
    pub updates: mpsc::Sender<Update>,
    /// What is counted.
    pub counts: watch::Sender<Counts>,
    /// How often what lasts is reported again.
    pub repeat: Duration,
    /// For how long traps of devices are kept that another bridge of the cluster polls.
    pub hold_for: Duration,
    /// What an earlier run has left open.
    pub open: Vec<Incident>,
}

impl std::fmt::Debug for Traps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traps")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Traps {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be listened on, or no keys can be made of a user's passwords.
    pub async fn start(setup: Setup) -> anyhow::Result<Traps> {
        let (taken, take) = mpsc::channel(WAITING);
        let counts = setup.counts;
        let generation = watch::Sender::new(0);
        let (begin, may_begin) = oneshot::channel();
        let receiver = Receiver {
            traps: setup.traps,
            engine: setup.engine,
            taken,
            places: Arc::new(Semaphore::new(WAITING)),
            counts: counts.clone(),
            generation: generation.subscribe(),
            begin: may_begin,
        };
        let stop = CancellationToken::new();
        let address = receiver.start(stop.clone()).await?;
        let watched = counts.subscribe();
        let intake = Intake::new(Handles {
            taken: take,
            configured: setup.senders,
            updates: setup.updates,
            counts,
            generation,
            repeat: setup.repeat,
            hold_for: setup.hold_for,
            open: setup.open,
        });
        Ok(Traps {
            intake,
            address,
            counts: watched,
            receiver: stop,
            begin,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is counted, about once a second.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.clone()
    }

    /// Receives until `stop`, first what has come since it listens.
    pub async fn run(self, stop: CancellationToken) {
        let _listens = self.receiver.drop_guard();
        let _ = self.begin.send(());
        self.intake.run(stop).await;
    }
}
