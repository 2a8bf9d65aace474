//! The demo of several bridges: one is killed, another one goes on, and in the end nothing is left.

use std::path::Path;

use crate::support::etcd;
use crate::support::program::Program;

/// The processes that were started with that directory.
fn using(directory: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let commands = commands.map(|command| String::from_utf8_lossy(&command).replace('\0', " "));
    commands.filter(|command| command.contains(directory)).collect()
}

#[tokio::test]
async fn a_bridge_that_is_killed_is_replaced_and_nothing_is_left_in_the_end() {
    let arguments = [
        "demo",
        "--bridges",
        "2",
        "--kill-every",
        "3s",
        "--mqtt-port",
        "0",
        "--http-port",
        "0",
    ];
    let mut demo = Program::start_with(&arguments, &[("PATH", &etcd::path())]);
    let intro = demo
        .until("where everything is", |output| {
            output.stdout.contains("What happens")
        })
        .await;
    let directory = intro
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("logs"));
    let directory = directory.unwrap().trim().to_owned();
    assert!(Path::new(&directory).is_dir());
    let replaced = demo
        .until("one is replaced and back", |output| {
            output.stdout.contains("stands by\n") && output.stdout.contains(" is back")
        })
        .await
        .stdout;
    let (_, story) = replaced.split_once("What happens").unwrap();
    let killed = story
        .lines()
        .find_map(|line| line.strip_suffix(" is killed"))
        .unwrap();
    let killed = killed.rsplit(' ').next().unwrap();
    let other = if killed == "b1" { "b2" } else { "b1" };
    assert!(
        story.contains(&format!("{other} works for the devices now (after ")),
        "{story}"
    );
    assert!(story.contains("nobody who reads topics has noticed"), "{story}");
    assert!(
        story.contains(&format!("{killed} is back and stands by")),
        "{story}"
    );
    let running = using(&directory);
    // The next one may be killed by now.
    assert!(running.len() >= 3, "{running:?}");

    let end = demo.stop("TERM").await;
    assert_eq!((end.code, end.output.stderr.as_str()), (Some(0), ""));
    assert!(
        end.output.stdout.contains("another bridge took over"),
        "{}",
        end.output.stdout
    );
    assert_eq!(using(&directory), Vec::<String>::new());
    assert!(!Path::new(&directory).exists());
}
