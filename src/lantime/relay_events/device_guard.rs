//! What a device's task asks before it changes something at the device, where several bridges share devices: whether this one
//! still may. Where there is one bridge, nothing is asked.

use std::time::Duration;

use crate::cluster::entries::Token;
use crate::cluster::write_guard::{WriteGuard, WriteMark};
use crate::fault_point;
use crate::model::{DeviceId, ErrorReport};

/// The guard of one device; by default there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceGuard(Option<Box<Guarded>>);

#[derive(Debug, Clone)]
struct Guarded {
    guard: WriteGuard,
    device: DeviceId,
    /// That of the last check.
    token: Option<Token>,
}

/// A request that changes something may be sent now.
#[derive(Debug)]
pub(super) struct Permitted(Option<WriteMark>);

impl DeviceGuard {
    pub(crate) fn new(guard: Option<WriteGuard>, device: &DeviceId) -> DeviceGuard {
        let device = device.clone();
        let token = None;
        DeviceGuard(guard.map(|guard| Box::new(Guarded { guard, device, token })))
    }

    /// To be asked before what is to be changed is read.
    ///
    /// # Errors
    /// When this bridge may not write to the device, or another one may still be writing there; transient.
    pub(super) async fn check(&mut self) -> Result<(), ErrorReport> {
        if let Some(guarded) = &mut self.0 {
            guarded.token = Some(guarded.guard.check(&guarded.device).await?);
        }
        Ok(())
    }

    /// To be asked right before each request that changes something, and that ends within `lasts`. It is refused if the shard was
    /// lost since the check, even if this bridge owns it again.
    ///
    /// # Errors
    /// As [`DeviceGuard::check`]; then it must not be sent.
    pub(super) async fn before_write(&self, lasts: Duration) -> Result<Permitted, ErrorReport> {
        let Some(Guarded { guard, device, token }) = self.0.as_deref() else {
            return Ok(Permitted(None));
        };
        let token = match token {
            Some(token) => *token,
            None => guard.check(device).await?,
        };
        let mark = guard.before_write(device, token, lasts).await?;
        fault_point::reached("checked");
        Ok(Permitted(Some(mark)))
    }
}

impl Permitted {
    /// The request has ended. Without an answer, the device may still be carrying it out.
    pub(super) fn ended(self, is_answered: bool) {
        if let Some(mark) = self.0.filter(|_| is_answered) {
            mark.remove();
        }
    }
}
