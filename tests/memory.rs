//! What the bridge keeps of each device: all that is allocated between its polls, over http, which keeps no connection.

mod support;

use lantime2mqtt::app::{Bridge, Setup};
use lantime2mqtt::config;
use lantime2mqtt::records::store::{Options, Store};
use support::mosquitto::Mosquitto;
use support::program::Program;
use support::site::Site;
use support::{PATIENCE, wait};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Of redundant devices and single ones alike, with all their clocks and events.
const BYTES_PER_DEVICE: usize = 12 * 1024;
/// So many looks, some tenths of a second each, without one that found less.
const SETTLED: usize = 50;
const FEW: usize = 20;
const MANY: usize = 220;

fn allocated() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// A bridge at a site with so many simulated devices of another process, each polled once.
async fn start(site: &Site, devices: usize) -> (Bridge, Program) {
    let list = site.file("devices.toml", "");
    let arguments = ["simulate", "--port", "0", "--write-config", &list, "--devices"];
    let mut fleet = Program::start(&[&arguments[..], &[&devices.to_string()]].concat());
    fleet
        .until("the devices are served", |output| !output.stdout.is_empty())
        .await;
    let devices = std::fs::read_to_string(&list).expect("the list of devices");
    let own = std::fs::read_to_string(site.config()).expect("the configuration");
    let own = own.replace("devices = []", "");
    // On a busy machine, too: of a device that does not answer in time its error would be kept as well.
    let patient = r#""1h"
timeout = "100s"
connect_timeout = "100s""#;
    site.overwrite(&(own + &devices.replace("\"1000ms\"", patient)));
    let config = config::load(&site.config(), []).expect("a configuration").config;
    // The database's cache has a limit of its own, for all devices together.
    let options = Options {
        cache_bytes: 0,
        ..Options::new(config.bridge.id.clone())
    };
    let store = Store::open(&site.state(), options).expect("a store");
    let setup = Setup {
        store,
        sink: None,
        has_socket: true,
    };
    (Bridge::start(config, setup).await.expect("a bridge"), fleet)
}

/// What is allocated at least with so many devices, once all is published: at most that, or what it no longer falls below.
async fn with(devices: usize, at_most: usize) -> usize {
    let broker = Mosquitto::start();
    let site = Site::new(broker.address(), &[]);
    let (bridge, _fleet) = start(&site, devices).await;
    site.ready().await;
    let (mut least, mut no_less) = (usize::MAX, 0);
    wait::within(5 * PATIENCE, "what is kept falls no further", async || {
        let now = allocated();
        no_less = if now < least { 0 } else { no_less + 1 };
        least = least.min(now);
        (least <= at_most || no_less == SETTLED)
            .then_some(())
            .ok_or(format!("{least} bytes, {at_most} at most"))
    })
    .await;
    bridge.stop().await.expect("the bridge stops");
    least
}

#[tokio::test]
async fn what_is_kept_of_a_device_is_small() {
    lantime2mqtt::tls::install_provider();
    let _profiler = dhat::Profiler::builder().testing().build();
    let few = with(FEW, 0).await;
    let many = with(MANY, few + (MANY - FEW) * BYTES_PER_DEVICE).await;
    let each = many.saturating_sub(few) / (MANY - FEW);
    assert!(each <= BYTES_PER_DEVICE, "{each} bytes for each device");
}
