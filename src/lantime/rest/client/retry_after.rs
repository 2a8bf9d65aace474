//! How long a device that is busy asks to be left alone (`Retry-After`, RFC 9110, 10.2.3).

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

use crate::lantime::rest::error::RestError;
use crate::model::{ErrorReport, Operation};

/// Longest pause that a device may ask for, in seconds: one slip of its must not end the watch over it.
const LONGEST_S: u16 = 15 * 60;
const TOO_MANY_REQUESTS: u16 = 429;
/// Statuses that say "later"; the second is that a service is unavailable.
const LATER: [u16; 2] = [TOO_MANY_REQUESTS, 503];

/// What a device must not be asked now, since it has asked for a pause. Boxed: most never do.
#[derive(Debug, Default)]
pub(super) struct Busy {
    device: Option<Box<Pause>>,
    /// One that does not want its configuration touched now can be polled all the same.
    configuration: Option<Box<Pause>>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    report: ErrorReport,
}

impl Busy {
    /// Notes what a request has failed with.
    pub(super) fn note(&mut self, error: &RestError) {
        let Some(seconds) = error.retry_after_s else {
            return;
        };
        let is_about_us = error.report.http_status == Some(TOO_MANY_REQUESTS);
        let place = if error.operation == Operation::RelayEvents && !is_about_us {
            &mut self.configuration
        } else {
            &mut self.device
        };
        *place = Some(Box::new(Pause {
            until: Instant::now() + Duration::from_secs(seconds.into()),
            report: error.report.clone(),
        }));
    }

    /// What the device answered, instead of asking it again too early.
    pub(super) fn refusal(&self, operation: Operation) -> Option<RestError> {
        let configuration = self.configuration.iter();
        let configuration = configuration.filter(|_| operation == Operation::RelayEvents);
        let mut pauses = self.device.iter().chain(configuration);
        let pause = pauses.find(|pause| Instant::now() < pause.until)?;
        Some(RestError::from_report(operation, pause.report.clone()))
    }

    /// Until when the device must not be asked anything.
    pub(super) fn until(&self) -> Option<Instant> {
        let pause = self.device.as_ref()?;
        (Instant::now() < pause.until).then_some(pause.until)
    }
}

/// The seconds that an answer with that status asks for, at most [`LONGEST_S`].
pub(super) fn retry_after(status: u16, headers: &HeaderMap, now: Timestamp) -> Option<u16> {
    let value = headers.get(RETRY_AFTER).filter(|_| LATER.contains(&status))?;
    let text = value.to_str().ok()?.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = if is_number {
        // More seconds than a number holds are only too many.
        text.parse().unwrap_or(i64::MAX)
    } else {
        // The device's clock shows how far off its own date is.
        let from = headers.get(DATE).and_then(date).unwrap_or(now);
        date(value)?.duration_since(from).as_secs()
    };
    let seconds = seconds.clamp(0, LONGEST_S.into());
    u16::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

fn date(value: &HeaderValue) -> Option<Timestamp> {
    DateTimeParser::new()
        .parse_timestamp(value.to_str().ok()?.trim())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn seconds_and_dates_are_understood_and_bounded() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let cases = [
            (&[("retry-after", "30")][..], Some(30)),
            (&[("retry-after", " 30 ")], Some(30)),
            (&[("retry-after", "86400")], Some(900)),
            (&[("retry-after", "99999999999999999999999")], Some(900)),
            (&[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")], Some(30)),
            (&[("retry-after", "Sun, 22 Nov 2099 10:00:30 GMT")], Some(900)),
            (&[("retry-after", "Sun, 22 Nov 2026 09:59:30 GMT")], None),
            // A device whose clock is an hour behind.
            (
                &[
                    ("retry-after", "Sun, 22 Nov 2026 09:00:30 GMT"),
                    ("date", "Sun, 22 Nov 2026 09:00:00 GMT"),
                ],
                Some(30),
            ),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(retry_after(503, &headers(pairs), now), expected, "{pairs:?}");
        }
        let asked = headers(&[("retry-after", "30")]);
        assert!(retry_after(429, &asked, now).is_some());
        assert_eq!(retry_after(500, &asked, now), None);
    }
}
