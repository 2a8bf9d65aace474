//! When devices were last watched: a device that nobody watched for a while gets a record of that, so that nobody takes
//! the silence for calm.
//!
//! A bridge of its own keeps that in a file whose time alone counts. In a cluster it follows from what the last owner has
//! published. Of a pause of a process that runs on, the device's task knows by itself.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Device;
use crate::lantime::device::longest_pause;

/// The file in the state directory.
const FILE_NAME: &str = "watched";

/// How often the file is touched: so much later than its time the bridge before may have ended.
const EVERY: Duration = Duration::from_secs(10);

/// When that device was last watched, where that is longer ago than a device may be silent while it is watched.
pub(super) fn not_observed_since(
    device: &Device,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let last = last?;
    let pause = Duration::try_from(now.duration_since(last)).ok()?;
    (pause > longest_pause(device)).then_some(last)
}

/// When an earlier run has last watched, as its file in that directory says.
pub(super) fn last(directory: &Path) -> Option<Timestamp> {
    let touched = directory.join(FILE_NAME).metadata().ok()?.modified().ok()?;
    Timestamp::try_from(touched).ok()
}

/// Touches the file in that directory until `stop`. That it cannot be touched is no error: where the disk fails, the store
/// reports it.
pub(super) async fn run(directory: PathBuf, stop: CancellationToken) {
    let file = directory.join(FILE_NAME);
    loop {
        let path = file.clone();
        // On a thread of its own: a disk that hangs must not hold up polls.
        let touched = tokio::task::spawn_blocking(move || touch(&path)).await;
        if let Ok(Err(error)) = touched {
            tracing::debug!(file = %file.display(), %error, "cannot note that devices are watched");
        }
        if stop.is_cancelled() {
            return;
        }
        let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
    }
}

fn touch(path: &Path) -> io::Result<()> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config;

    fn device() -> Device {
        let text = "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[[devices]]\nid = \"m1\"\nurl = \"http://127.0.0.1:1\"\n\
                    username = \"u\"\npassword = \"p\"\npoll = \"4s\"\ntimeout = \"3s\"\noffline_after = 3\n";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = config::load(&file, std::iter::empty()).unwrap();
        Arc::unwrap_or_clone(loaded.config.devices.into_iter().next().unwrap())
    }

    #[test]
    fn only_a_pause_in_which_a_device_would_be_offline_counts() {
        let device = device();
        assert_eq!(
            longest_pause(&device),
            Duration::from_secs(4 + 1 + 2 + 3 * 3 + 10)
        );
        let last = Timestamp::from_second(1_000).unwrap();
        let since = |seconds: i64| {
            let now = Timestamp::from_second(1_000 + seconds).unwrap();
            not_observed_since(&device, Some(last), now)
        };
        assert_eq!(since(26), None);
        assert_eq!(since(27), Some(last));
        assert_eq!(since(-3_600), None, "the clock was set back");
        assert_eq!(not_observed_since(&device, None, last), None);
    }

    #[tokio::test]
    async fn the_file_shows_it_to_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(last(directory.path()), None);
        let stop = CancellationToken::new();
        stop.cancel();
        let before = Timestamp::now() - Duration::from_secs(2);
        run(directory.path().to_owned(), stop.clone()).await;
        assert!(last(directory.path()).unwrap() > before);
        run(directory.path().join("missing"), stop).await;
        assert_eq!(last(&directory.path().join("missing")), None);
    }
}
