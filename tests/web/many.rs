//! Five hundred devices on one page. How long it takes is printed, and not judged: the machine of a test may be slow.

use crate::browser::Script;
use crate::scene::{Scene, setup};
use crate::support::site::Entry;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_devices_stay_usable() {
    let scene = Scene::of(setup(500).entries(|device| Entry::writable(device).with("poll", "5s"))).await;
    let mut script = Script::start("many.mjs", &scene.url());
    let times = script.says("times").await;
    println!("500 devices, milliseconds: {times}");
    script.says("done").await;
}
