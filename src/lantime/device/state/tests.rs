//! The table of docs/device.md: each of its rows holds.

mod property;
mod scene;

use std::fs;
use std::path::Path;
use std::time::Duration;

use scene::Scene;

use crate::model::Position;

#[test]
fn every_row_of_the_document_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/device.md");
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    assert!(rows.len() > 40, "the table was read: {rows:?}");
    let found: Vec<_> = rows
        .iter()
        .map(|[state, input, _]| format!("| {state} | {input} | {} |", Scene::of(state).give(input)))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|[state, input, effects]| format!("| {state} | {input} | {effects} |"))
        .collect();
    assert_eq!(found.join("\n"), rows.join("\n"));
}

/// What shows no events says nothing of them: of what was reported before, one record is enough.
#[test]
fn what_shows_no_events_leaves_them_as_they_were() {
    let over_rest = [
        "time",
        "answer without events",
        "trap",
        "answer without events",
        "time",
        "answer without events",
        "time",
        "answer: the event stands",
    ];
    let over_snmp = [
        "answer: the event stands",
        "reload",
        "time",
        "refusal",
        "SNMP status",
        "time",
        "SNMP status",
        "time",
        "SNMP status",
        "trap",
        "reload",
        "time",
        "answer: the event stands",
    ];
    assert_eq!(records("online", &over_rest), 1);
    assert_eq!(records("fallback, poll in flight", &over_snmp), 1);
}

/// In both runs the first poll is at the same time, and polls are 60 s apart.
#[test]
fn what_stands_as_in_the_run_before_does_so_since_then() {
    let after = |inputs: &[&str]| {
        let mut scene = Scene::of("next run, first poll");
        scene.later(Duration::from_secs(100));
        inputs.iter().for_each(|input| drop(scene.give(input)));
        scene.relay()
    };
    let first = ["answer", "selections"];
    assert_eq!(after(&first), (Position::No, 100, None));
    let fallen = ["answer: the clock has failed", "selections"];
    assert_eq!(after(&fallen), (Position::Nc, 0, None));
    // Nobody knows until when.
    let last = Some((Position::No, 100));
    assert_eq!(after(&["failure"]), (Position::Unknown, 0, last));
    let (position, since, last) = after(&["failure", "time", "answer", "selections"]);
    assert_eq!((position, last), (Position::No, None));
    assert_eq!(since, 0, "it was published that it is not known");
}

/// Between polls and within one, whether the process stood still or the machine was suspended.
#[test]
fn a_while_in_which_no_poll_came_in_time_is_recorded() {
    let hour = Duration::from_secs(3600);
    let pauses = |state: &str, pause: fn(&mut Scene, Duration), inputs: &[&str]| {
        let mut scene = Scene::of(state);
        let last = scene.now.wall;
        pause(&mut scene, hour);
        let inputs = inputs.iter().map(|input| scene.give(input)).collect::<Vec<_>>();
        (inputs.join("; "), scene.pauses(), last)
    };
    for pause in [Scene::later, Scene::suspended] {
        let (effects, found, last) = pauses("online", pause, &["time", "the same answer"]);
        assert!(effects.contains("record state"), "{effects}");
        assert_eq!(found, [("online", "online", last)]);
        let (_, found, last) = pauses("poll in flight", pause, &["the same answer"]);
        assert!(
            matches!(found[..], [("online", "online", since)] if since < last),
            "{found:?}"
        );
        let (_, found, last) = pauses("offline", pause, &["time", "answer"]);
        assert_eq!(found, [("offline", "online", last)]);
        // It is known only with an answer.
        let (_, found, last) = pauses("online", pause, &["time", "failure", "time", "answer"]);
        assert_eq!(found, [("online", "online", last)]);
    }
    let (_, found, _) = pauses("online", |_, _| {}, &["time", "the same answer"]);
    assert_eq!(found, []);
    let short = |scene: &mut Scene, _| scene.suspended(Duration::from_secs(50));
    let (_, found, _) = pauses("online", short, &["time", "the same answer"]);
    assert_eq!(found, [], "it would not have been offline");
}

/// How often the inputs make records.
fn records(state: &str, inputs: &[&str]) -> usize {
    let mut scene = Scene::of(state);
    let mut makes_one = |input: &&&str| match **input {
        "reload" => {
            scene.reload("fallback");
            false
        }
        input => scene.give(input).contains("record"),
    };
    inputs.iter().filter(&mut makes_one).count()
}

/// The cells of a row of the table; `None` for any other line.
fn row(line: &str) -> Option<[&str; 3]> {
    let cells: Vec<_> = line
        .strip_prefix("| ")?
        .strip_suffix(" |")?
        .split(" | ")
        .collect();
    let cells: [&str; 3] = cells.try_into().ok()?;
    (cells != ["state", "input", "effects"]).then_some(cells)
}
