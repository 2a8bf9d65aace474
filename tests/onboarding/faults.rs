//! `faults`: what was not as it should be, of a bridge that runs.

use serde_json::Value;

use crate::doctor::Installation;
use crate::support::program::{End, run};
use crate::support::wait;

#[tokio::test]
async fn a_device_that_is_down_is_a_fault() {
    let site = Installation::new().await;
    site.change_config(site.fleet.devices()[1].url(), "https://127.0.0.1:1");
    let config = site.config();
    let faults =
        async |more: &[&str]| -> End { run(&[&["faults", "--config", &config], more].concat()).await };
    let bridge = site.start().await;
    let found = wait::for_value("the device is offline", async || {
        let end = faults(&["--format", "json"]).await;
        let mut lines = end.output.stdout.lines();
        let fault = lines.find_map(|line| serde_json::from_str::<Value>(line).ok());
        fault.ok_or(format!("{:?}", end.output))
    });
    let found = found.await;
    let device = found["device"].as_str().expect("an id");
    assert_eq!(
        (found["value"].as_str(), found.get("until")),
        (Some("offline"), None)
    );

    let text = faults(&["--device", device]).await.output.stdout;
    assert!(text.starts_with("SINCE") && text.contains("offline"), "{text}");
    assert!(
        text.lines().nth(1).is_some_and(|line| line.contains(", still")),
        "{text}"
    );
    let csv = faults(&["--format", "csv"]).await.output.stdout;
    assert!(csv.starts_with("device,slot,") && csv.contains(device), "{csv}");
    let refused = faults(&["--device", "nobody"]).await;
    assert_eq!(refused.code, Some(1), "{:?}", refused.output);

    bridge.stop("TERM").await;
    let end = faults(&[]).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    assert!(end.output.stderr.contains("no bridge runs"), "{:?}", end.output);
}
