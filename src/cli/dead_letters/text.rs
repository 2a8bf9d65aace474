//! Dead letters as text. Pure.

use crate::cli::table::{self, plain};
use crate::contract::dead_letter::Summary;
use crate::contract::dead_letter_marks::Marks;
use crate::model::Operation;

/// Longest message in the table, in characters.
const MESSAGE: usize = 80;

/// A line for each dead letter, under a head. `cut`: messages are cut, for a terminal.
pub(super) fn table(dead_letters: &[Summary], cut: bool) -> String {
    if dead_letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let head = ["ID", "TIME", "DEVICE", "OPERATION", "KIND", "MESSAGE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head)
        .chain(dead_letters.iter().map(|dead_letter| row(dead_letter, cut)))
        .collect();
    table::table(&rows)
}

/// A JSON object a line.
pub(super) fn lines(dead_letters: &[Summary]) -> String {
    let line = |dead_letter| serde_json::to_string(dead_letter).expect("texts can be written as JSON") + "\n";
    dead_letters.iter().map(line).collect()
}

fn row(dead_letter: &Summary, cut: bool) -> [String; 6] {
    let device = dead_letter.device.as_deref().unwrap_or("-");
    let place = match &dead_letter.slot {
        Some(slot) => format!("{device}/{slot}"),
        None => device.to_owned(),
    };
    let message = plain(&message(dead_letter));
    [
        dead_letter.id.to_string(),
        plain(&dead_letter.at),
        plain(&place),
        plain(&dead_letter.operation),
        plain(&dead_letter.kind),
        if cut { cut_off(&message) } else { message },
    ]
}

/// The message, and before it what has become of the dead letter.
fn message(dead_letter: &Summary) -> String {
    let Marks { handled, replayed } = &dead_letter.marks;
    let handled = handled.as_ref().map(|handled| match &handled.by {
        Some(by) => format!("handled by {by}: "),
        None => "handled: ".to_owned(),
    });
    let replayed = replayed.map(|replayed| match replayed.ok {
        true => "replayed: ",
        false => "replay failed: ",
    });
    let (handled, replayed) = (handled.unwrap_or_default(), replayed.unwrap_or_default());
    format!("{handled}{replayed}{}", reported(dead_letter))
}

/// The message, and before it whether the dead letter reports a failure again, or its end.
fn reported(dead_letter: &Summary) -> String {
    let message = &dead_letter.message;
    match dead_letter.repeats {
        // The message of these contains it: what they count need not be failures.
        _ if dead_letter.operation == Operation::Store.as_str() => message.clone(),
        Some(repeats) if dead_letter.recovered => format!("recovered after {}: {message}", failures(repeats)),
        Some(repeats) => format!("{} so far: {message}", failures(repeats)),
        None => message.clone(),
    }
}

fn failures(number: u64) -> String {
    match number {
        1 => "1 failure".to_owned(),
        number => format!("{number} failures"),
    }
}

fn cut_off(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// JSON with a member a line, in the order that it has.
pub(super) fn pretty(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for c in json.chars() {
        match c {
            _ if in_text => {
                (in_text, escaped) = (escaped || c != '"', c == '\\' && !escaped);
                push_text(&mut out, c);
            }
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                depth += 1;
                out.push(c);
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                out.truncate(out.trim_end().len());
                if !out.ends_with(['{', '[']) {
                    new_line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// Some control characters may stand in JSON, and must not reach a terminal.
fn push_text(out: &mut String, c: char) {
    match c.is_control() {
        true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        false => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn dead_letter(device: Option<&str>, message: &str) -> Summary {
        Summary {
            id: Uuid::from_u128(7),
            at: "2026-11-22T10:15:30.120Z".to_owned(),
            device: device.map(str::to_owned),
            slot: device.map(|_| "io3".to_owned()),
            operation: "relay-events".to_owned(),
            kind: "busy".to_owned(),
            message: message.to_owned(),
            remedy: "wait".to_owned(),
            repeats: None,
            recovered: false,
            topic: None,
            marks: Marks::default(),
        }
    }

    #[test]
    fn a_table_has_its_columns_below_each_other_and_short_messages() {
        let dead_letters = [
            dead_letter(Some("m3000-a"), "one\x1b[2J"),
            dead_letter(None, &"ä".repeat(81)),
        ];
        let whole = table(&dead_letters, false);
        assert!(whole.ends_with(&format!("{}\n", "ä".repeat(81))), "{whole}");
        let table = table(&dead_letters, true);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[0],
            "ID                                    TIME                      DEVICE       OPERATION     KIND  MESSAGE"
        );
        assert_eq!(
            lines[1],
            "00000000-0000-0000-0000-000000000007  2026-11-22T10:15:30.120Z  m3000-a/io3  relay-events  busy  one [2J"
        );
        assert!(
            lines[2].contains("  -            relay-events  busy  ä"),
            "{}",
            lines[2]
        );
        assert!(lines[2].ends_with("ä..") && lines[2].matches('ä').count() == 80);
    }

    #[test]
    fn a_repeat_and_an_end_show_as_what_they_are() {
        let reported = |operation: &str, repeats, recovered| {
            message(&Summary {
                operation: operation.to_owned(),
                repeats,
                recovered,
                ..dead_letter(None, "late")
            })
        };
        assert_eq!(reported("poll", None, false), "late");
        assert_eq!(reported("poll", Some(41), false), "41 failures so far: late");
        assert_eq!(
            reported("token", Some(41), true),
            "recovered after 41 failures: late"
        );
        assert_eq!(reported("poll", Some(1), true), "recovered after 1 failure: late");
        assert_eq!(reported("store", Some(400), true), "late");
    }

    #[test]
    fn each_dead_letter_is_one_json_line() {
        let lines = lines(&[dead_letter(None, "a\nb"), dead_letter(Some("d"), "")]);
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.starts_with(r#"{"id":"00000000-0000-0000-0000-000000000007","at":"#));
    }

    #[test]
    fn pretty_json_keeps_order_and_texts() {
        for (json, expected) in [
            (
                r#"{"b":1,"a":{"x":[],"y":[1,"} , :"]}, "e":{ } }"#,
                "{\n  \"b\": 1,\n  \"a\": {\n    \"x\": [],\n    \"y\": [\n      1,\n      \"} , :\"\n    ]\n  },\n  \"e\": {}\n}\n",
            ),
            (
                r#"["\"","\\",":{"]"#,
                "[\n  \"\\\"\",\n  \"\\\\\",\n  \":{\"\n]\n",
            ),
            ("\"a\u{9b}b\"", "\"a\\u009bb\"\n"),
            ("7", "7\n"),
        ] {
            assert_eq!(pretty(json), expected);
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(&pretty(json)), value(json));
        }
    }
}
