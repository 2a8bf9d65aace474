//! What is asked of the bridge, or of the store of one that does not run. Pure.

use jiff::Timestamp;
use uuid::Uuid;

use crate::contract::dead_letter::Summary;
use crate::web::handled::ToMark;

/// What is to be done, with whole ids.
#[derive(Debug)]
pub(super) enum Request {
    List(Listed),
    Show(Uuid),
    Replay(Uuid),
    Handled(ToMark),
    Drop { ids: Vec<Uuid>, all: bool },
}

/// Which are listed.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) limit: Option<usize>,
    pub(super) device: Option<String>,
    pub(super) from: Option<Timestamp>,
}

impl Listed {
    /// How many have to be looked at.
    pub(super) fn most(&self) -> usize {
        let is_filtered = self.device.is_some() || self.from.is_some();
        self.limit.filter(|_| !is_filtered).unwrap_or(usize::MAX)
    }

    /// Of all, the newest first, those that are asked for.
    pub(super) fn filter(&self, mut dead_letters: Vec<Summary>) -> Vec<Summary> {
        dead_letters.retain(|dead_letter| {
            let device = dead_letter.device.as_deref().unwrap_or("bridge");
            let is_of_device = self.device.as_ref().is_none_or(|wanted| wanted == device);
            // One whose time cannot be read is not kept back.
            let at = dead_letter.at.parse::<Timestamp>().ok();
            is_of_device && self.from.zip(at).is_none_or(|(from, at)| at >= from)
        });
        dead_letters.truncate(self.limit.unwrap_or(usize::MAX));
        dead_letters
    }
}
