//! Five hundred devices on one page. How long it takes is printed, and not judged: the machine of a test may be slow.

use crate::browser::Script;
use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_devices_stay_usable() {
    let scene = Scene::start_with(500, "5s", |site| site).await;
    let mut script = Script::start("many.mjs", &scene.url());
    let times = script.says("times").await;
    println!("500 devices, milliseconds: {times}");
    script.says("done").await;
}
