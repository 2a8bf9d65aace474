//! Five hundred devices on one page.

use serde_json::Value;

use crate::browser::Script;
use crate::scene::Scene;

/// Milliseconds; far above what it takes, since the machine of a test may be slow. What it takes is printed.
const FIRST: f64 = 15_000.0;
const OTHER: f64 = 2_000.0;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_devices_stay_usable() {
    let scene = Scene::start_with(500, "5s", |site| site).await;
    let mut script = Script::start("many.mjs", &scene.url());
    let times = script.says("times").await;
    println!("500 devices, milliseconds: {times}");
    let times: Value = serde_json::from_str(&times).expect("JSON");
    for (name, most) in [
        ("first", FIRST),
        ("filter", OTHER),
        ("back", OTHER),
        ("open", OTHER),
    ] {
        let took = times[name].as_f64().expect("a time");
        assert!(took < most, "{name}: {took} ms");
    }
    script.says("done").await;
}
