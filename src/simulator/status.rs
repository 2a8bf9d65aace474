//! The document that a device sends, kept ready: written again when the world or a fault has changed, and
//! otherwise only brought to the current second, in place. A request costs no JSON building.

use super::document::json::{Rendered, TimeField, set_time};
use super::document::{self, Identity};
use super::world::World;
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

/// The latest document of one device.
#[derive(Default)]
pub(super) struct StatusCache(Option<Ready>);

struct Ready {
    body: Bytes,
    places: Vec<(usize, TimeField)>,
    second: i64,
    is_stale: bool,
}

impl StatusCache {
    /// Keeps the document as it is, but for the time of the answer, until it is invalidated.
    pub(super) fn keep(&mut self) {
        if let Some(ready) = &mut self.0 {
            ready.is_stale = true;
            ready.places.retain(|(_, field)| *field == TimeField::Stamp);
        }
    }

    /// Has the document written again at the next request after the world has changed, unless it is kept.
    pub(super) fn world_changed(&mut self) {
        if self.0.as_ref().is_some_and(|ready| !ready.is_stale) {
            self.invalidate();
        }
    }

    /// Has the document written again at the next request.
    pub(super) fn invalidate(&mut self) {
        self.0 = None;
    }

    /// The document as of `now`, without the keys in `missing`. Times in it are exact to the second.
    pub(super) fn at(&mut self, now: Timestamp, who: &Identity, world: &World, missing: &[String]) -> Bytes {
        let ready = self.0.get_or_insert_with(|| {
            let Rendered { body, places } = document::render(who, world, missing);
            Ready {
                body: Bytes::from(body),
                places,
                second: i64::MIN,
                is_stale: false,
            }
        });
        if ready.second != now.as_second() {
            ready.second = now.as_second();
            // In place once the last answer has left; a copy while somebody still holds it.
            let held = std::mem::take(&mut ready.body);
            let mut body = held
                .try_into_mut()
                .unwrap_or_else(|held| BytesMut::from(&held[..]));
            set_time(&mut body, &ready.places, now, world.booted_at());
            ready.body = body.freeze();
        }
        ready.body.clone()
    }
}
