//! What a bridge of a cluster knows beside its own store and devices: dead letters of commands that other bridges have
//! written, and who works for which device.

use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cluster::coordinator::Status;
use crate::cluster::dead_letters::DeadLetters;
use crate::cluster::etcd;
use crate::cluster::shard_of;
use crate::model::{DeviceId, ErrorKind, ErrorReport};

/// The rest of the cluster.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    shards: u16,
    status: watch::Receiver<Status>,
    dead_letters: DeadLetters,
}

impl Elsewhere {
    /// Of a cluster with so many shards.
    pub fn new(shards: u16, status: watch::Receiver<Status>, dead_letters: DeadLetters) -> Elsewhere {
        Elsewhere {
            shards,
            status,
            dead_letters,
        }
    }

    /// A dead letter of a command of any shard, as it was published.
    pub(super) async fn dead_letter(&self, id: Uuid) -> Result<Option<Bytes>, etcd::Error> {
        self.dead_letters.get(id).await
    }

    /// Why a command for that device is not carried out here, if another bridge works for it, or none does.
    pub(super) fn refusal(&self, device: &DeviceId) -> Option<ErrorReport> {
        let shard = shard_of(device, self.shards);
        let status = self.status.borrow();
        let (whose, remedy) = match status.owners.get(&shard) {
            Some(owner) if owner.bridge == status.me => return None,
            Some(owner) => {
                let remedy = "send the command to that bridge; the topics of the device's own commands reach it by themselves";
                (format!("bridge {} works for that shard", owner.bridge), remedy)
            }
            None => {
                let remedy =
                    "send the command again when a bridge does: lantime2mqtt cluster status shows it";
                ("no bridge works for that shard now".to_owned(), remedy)
            }
        };
        let message = format!("this bridge does not poll {device}: it belongs to shard {shard}, and {whose}");
        Some(ErrorReport::new(ErrorKind::NotFound, message, remedy))
    }
}
