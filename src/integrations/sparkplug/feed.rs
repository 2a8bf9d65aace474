//! From the publisher to the edge node: each change of a device, in order, as the picture of the device after it.
//!
//! Bounded. What does not fit is not lost: the edge node is told, looks at the picture of all devices, and tells how those
//! are that have changed.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};

use crate::model::{DeviceId, DevicePicture, Picture, Update};
use crate::mqtt::publisher::Observer;

/// Changes that wait while messages go out. Each may keep an older picture of its device (10 KB).
const WAITING: usize = 1024;

/// A device after a change.
#[derive(Debug)]
pub(super) struct News {
    /// Of the whole picture.
    pub(super) version: u64,
    pub(super) device: DeviceId,
    /// `None` where it has left the configuration.
    pub(super) picture: Option<Arc<DevicePicture>>,
    pub(super) at: Timestamp,
}

/// The end at the edge node.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) news: mpsc::Receiver<News>,
    /// Told when news did not fit, and when devices may have come: the picture has what is so.
    pub(super) look_again: Arc<Notify>,
    pub(super) pictured: watch::Receiver<Picture>,
}

/// A feed, and what fills it. That must see each update after the picture has taken it in.
pub(super) fn feed(pictured: watch::Receiver<Picture>) -> (Feed, Observer) {
    let (sender, news) = mpsc::channel(WAITING);
    let look_again = Arc::new(Notify::new());
    let (told, shown) = (Arc::clone(&look_again), pictured.clone());
    let observer = Observer::new(move |update| {
        let device = match update {
            Update::Device { device, .. } | Update::Forgotten { device } | Update::Removed { device } => {
                device
            }
            // Which have come, the picture tells.
            Update::Configured(_) => return told.notify_one(),
            _ => return,
        };
        let news = {
            let picture = shown.borrow();
            News {
                version: picture.version,
                device: device.clone(),
                picture: picture.devices.get(device).cloned(),
                at: Timestamp::now(),
            }
        };
        if sender.try_send(news).is_err() {
            told.notify_one();
        }
    });
    let feed = Feed {
        news,
        look_again,
        pictured,
    };
    (feed, observer)
}
