//! The serial number of the device at an address: another one means that the device was exchanged. Each run of the
//! bridge begins with none. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::turn::Settings;
use crate::model::{ErrorKind, ErrorReport, Snapshot, Text};

/// Most exchanges that are reported within the time in which one is not repeated: two devices that answer in turns must
/// not flood anybody.
const MAX_REPORTED: usize = 8;

/// The serial number that REST gave last, and what was reported of it.
#[derive(Debug, Clone, Default)]
pub(super) struct SerialNumber {
    last: Option<Text>,
    /// The serial numbers of devices that came in exchange, and when that was reported.
    reported: Vec<(Text, Instant)>,
}

impl SerialNumber {
    /// Takes what an answer says. Gives the one before, where this is another and that is to be reported: one that comes
    /// again within `repeat` is not.
    fn take(&mut self, found: &Text, repeat: Duration, now: Instant) -> Option<Text> {
        let before = self
            .last
            .replace(found.clone())
            .filter(|before| before != found)?;
        self.reported.retain(|(_, at)| now.duration_since(*at) < repeat);
        if self.reported.len() >= MAX_REPORTED || self.reported.iter().any(|(known, _)| known == found) {
            return None;
        }
        self.reported.push((found.clone(), now));
        Some(before)
    }

    /// Reports, in the log and to the caller, that another device answers at this address. `snapshot` is of REST: what SNMP
    /// says may be written otherwise.
    pub(super) fn check(
        &mut self,
        snapshot: &Snapshot,
        settings: &Settings,
        now: Instant,
    ) -> Option<ErrorReport> {
        // Of one that is damaged nobody knows whether it is another.
        let is_whole = |text: &&Text| !text.contains(char::REPLACEMENT_CHARACTER);
        let found = snapshot.identity.serial_number.as_ref().filter(is_whole)?;
        let before = self.take(found, settings.repeat, now)?;
        tracing::warn!(before = %before, now = %found, "device replaced: its serial number has changed");
        Some(exchanged(&before, found, &settings.url))
    }
}

fn exchanged(before: &str, now: &str, url: &str) -> ErrorReport {
    let message =
        format!("the device at this address was exchanged: its serial number was {before:?} and is {now:?}");
    let remedy = "compare the wiring of the relays in the configuration with the jumpers of the new device, and its \
                  SNMP users and engine id; where the device was not exchanged, look for another one with its address";
    ErrorReport {
        url: Some(url.to_owned()),
        ..ErrorReport::new(ErrorKind::Conflict, message, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEAT: Duration = Duration::from_secs(900);

    /// After which of these, a second apart, an exchange is reported.
    fn reported(serial_numbers: &[&str]) -> Vec<usize> {
        let (mut known, begin) = (SerialNumber::default(), Instant::now());
        let mut take = |(second, text): &(usize, &&str)| {
            let now = begin + Duration::from_secs(*second as u64);
            known.take(&Text::from(**text), REPEAT, now).is_some()
        };
        let polls = serial_numbers.iter().enumerate();
        polls
            .filter(|poll| take(poll))
            .map(|(second, _)| second)
            .collect()
    }

    #[test]
    fn each_exchange_is_reported_once() {
        assert_eq!(reported(&["1", "1", "1"]), [0; 0]);
        assert_eq!(reported(&["1", "2", "2", "2"]), [1]);
        assert_eq!(reported(&["1", "2", "3", "3"]), [1, 2]);
    }

    #[test]
    fn devices_that_answer_in_turns_do_not_flood() {
        let turns: Vec<_> = ["1", "2"].into_iter().cycle().take(1000).collect();
        assert_eq!(reported(&turns), [1, 2, 901, 902]);
        let texts: Vec<String> = (0..800).map(|number| number.to_string()).collect();
        let others: Vec<_> = texts.iter().map(String::as_str).collect();
        assert_eq!(reported(&others).len(), MAX_REPORTED);
    }
}
