//! How far a command has come, known the moment it is: who carries it out may be interrupted at any time.

use tokio::sync::watch;

use super::configuration::{Plan, Staged};
use crate::lantime::snmp::manager::SnmpFailure;

/// How far the change of a command has come at the device.
#[derive(Debug, Clone, Default)]
pub(crate) enum Progress {
    /// Nothing is written, or nothing of it is left.
    #[default]
    Unwritten,
    /// It has been written, or may have been, and is perhaps not in force.
    Staged(Staged),
    /// The same, and the command to apply is in flight, over SNMP.
    Applying(Staged, Applying),
    /// The device has answered, over SNMP, that it is in force: what is left to do is to read back.
    Applied(Plan),
}

impl Progress {
    /// Whether something may have been written to the device.
    pub(crate) fn has_written(&self) -> bool {
        !matches!(self, Progress::Unwritten)
    }

    /// The command to apply that the device has not answered.
    pub(crate) fn applying(&self) -> Option<&Applying> {
        match self {
            Progress::Applying(_, applying) => Some(applying),
            _ => None,
        }
    }
}

/// A command to apply that is in flight over SNMP, for which a device may need two minutes. It goes on, and is not sent
/// again, until the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Applying(pub(super) watch::Receiver<Option<Result<(), SnmpFailure>>>);

impl Applying {
    pub(super) fn begin(sending: impl Future<Output = Result<(), SnmpFailure>> + Send + 'static) -> Applying {
        let (sender, answer) = watch::channel(None);
        tokio::spawn(async move {
            tokio::select! {
                answer = sending => drop(sender.send(Some(answer))),
                () = sender.closed() => {}
            }
        });
        Applying(answer)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// When the device refuses it, or gives no answer: then it may have been carried out.
    pub(crate) async fn answer(&mut self) -> Result<(), SnmpFailure> {
        let answer = self.0.wait_for(Option::is_some).await;
        let answer = answer.expect("it goes on while there is a clone");
        answer.clone().expect("it was waited for")
    }
}
