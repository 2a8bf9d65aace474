//! The table of docs/device.md: each of its rows holds.

mod property;
mod scene;

use std::fs;
use std::path::Path;

use scene::Scene;

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
