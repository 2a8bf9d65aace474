//! `init` where some devices do not answer: those that do are kept.

use std::fs;
use std::path::Path;

use crate::init::{DEVICE_PASSWORD, RIGHT, USER, devices, init, nowhere};
use crate::terminal::Terminal;

#[tokio::test]
async fn devices_that_fail_are_left_out_where_that_is_wanted() {
    let fleet = devices(1).await;
    let (_parent, directory) = nowhere();
    let good = fleet.devices()[0].url();
    let options = [
        "--broker",
        "embedded",
        "--directory",
        &directory,
        "--http-listen",
        "off",
        "--yes",
        "--device",
        "https://127.0.0.1:1",
    ];
    let both = [&options[..], &["--device", good]].concat();
    let end = init(&both, RIGHT).await;
    assert_eq!(end.code, Some(1), "{:?}", end.output);
    for part in [
        "https://127.0.0.1:1: 127.0.0.1:1: connection refused",
        "1 of 2 devices did not answer",
        "--skip-failing",
        "--offline",
    ] {
        assert!(end.output.stderr.contains(part), "{part}: {:?}", end.output);
    }
    let end = init(&[&options[..], &["--skip-failing"]].concat(), RIGHT).await;
    assert_eq!(end.code, Some(1), "none is left: {:?}", end.output);
    assert!(!Path::new(&directory).exists());

    let end = init(&[&both[..], &["--skip-failing"]].concat(), RIGHT).await;
    assert_eq!(end.code, Some(0), "{:?}", end.output);
    assert!(
        end.output.stdout.contains("https://127.0.0.1:1: left out"),
        "{:?}",
        end.output
    );
    assert_eq!(urls(&directory), [good]);
}

/// Of the devices that are written.
fn urls(directory: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("{directory}/lantime2mqtt.toml")).expect("it is written");
    let table: toml::Table = text.parse().expect("TOML");
    let devices = table["devices"].as_array().expect("a list").iter();
    let urls = devices.map(|device| device["url"].as_str().expect("a URL").to_owned());
    urls.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_devices_that_answer_are_kept() {
    let fleet = devices(2).await;
    let (_parent, directory) = nowhere();
    let [good, other] = [0, 1].map(|index| fleet.devices()[index].url());
    let mut terminal = Terminal::start(&[
        "init",
        "--broker",
        "embedded",
        "--directory",
        &directory,
        "--http-listen",
        "off",
    ]);
    terminal.answer("First device", "no");
    terminal.answer("First device", good);
    terminal.answer("User name at the device [info]: ", USER);
    terminal.answer("(not shown): ", DEVICE_PASSWORD);
    terminal.answer("Another device", "https://127.0.0.1:1");
    terminal.answer("Another device", "https://127.0.0.1:2");
    terminal.answer("Another device", "No");
    terminal.answer("Are these the fingerprints", "y");
    terminal.answer("Enter these again?", "");
    terminal.answer("Instead of https://127.0.0.1:1", other);
    terminal.answer("Instead of https://127.0.0.1:2", "");
    terminal.answer("Are these the fingerprints", "y");
    terminal.answer("Write these files?", "");
    let (status, shown) = tokio::task::spawn_blocking(|| terminal.end()).await.unwrap();
    assert!(status.success(), "{shown}");
    assert_eq!(urls(&directory), [good, other]);
    assert!(shown.contains("https://127.0.0.1:2: left out"), "{shown}");
}
