//! A simulated device, and what asks HTTP servers about it.

use std::time::Duration;

use lantime2mqtt::simulator::{ApiGeneration, Chassis, DeviceKind, Fleet, FleetOptions};
use tokio::time::{sleep, timeout};

use crate::support::PATIENCE;

/// `sim-1`, with a relay module in `io1`.
pub(crate) async fn fleet() -> Fleet {
    fleet_of(1).await
}

/// So many of them.
pub(crate) async fn fleet_of(devices: usize) -> Fleet {
    lantime2mqtt::tls::install_provider();
    let options = FleetOptions {
        devices,
        kinds: vec![DeviceKind::new(Chassis::M500, ApiGeneration::V20)],
        ..FleetOptions::default()
    };
    Fleet::start(options).await.expect("free ports")
}

/// A client that goes straight to the loopback.
pub(crate) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().build();
    client.expect("no TLS needed")
}

/// Asks until the answer is as it should be, and gives it; panics with `what` and the last answer when it never is.
pub(crate) async fn until<T: Default + std::fmt::Display>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
    is: impl Fn(&T) -> bool,
) -> T {
    let mut last = T::default();
    let asked = async {
        loop {
            last = ask().await.unwrap_or_default();
            if is(&last) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(PATIENCE, asked).await.is_err() {
        panic!("{what}: never; {last}");
    }
    last
}
