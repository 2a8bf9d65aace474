//! The examples of `docs/api.md`, as a shell runs them beside a bridge with one device.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::scene::{Scene, TOKEN};
use crate::support::{PATIENCE, wait};

const DOCUMENT: &str = include_str!("../../docs/api.md");
/// What follows the output of each command.
const END: &str = "-- end of output --";
/// What is before the JSON of a server-sent event.
const EVENT: &str = "data: ";

/// A command, and what it is said to write.
struct Example {
    command: String,
    output: Vec<String>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in DOCUMENT.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("it ends");
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => examples.push(Example {
                    command: command.to_owned(),
                    output: Vec::new(),
                }),
                None => examples
                    .last_mut()
                    .expect("a command")
                    .output
                    .push(line.to_owned()),
            }
        }
    }
    examples
}

#[test]
fn every_path_has_an_example() {
    let document: Value =
        serde_json::from_str(include_str!("../../src/web/assets/openapi.json")).expect("JSON");
    let commands: Vec<_> = examples().into_iter().map(|example| example.command).collect();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post"]
            .into_iter()
            .filter(|method| item.get(method).is_some())
        {
            let is_it = |command: &String| is_request(command, method, path);
            assert!(commands.iter().any(is_it), "no example of {method} {path}");
        }
    }
}

/// Whether a command of the document asks for that path, whose variables may be anything.
fn is_request(command: &str, method: &str, path: &str) -> bool {
    let words = command.split(['"', ' ', ')']);
    let urls = words.filter_map(|word| {
        let path = word
            .strip_prefix("$bridge")
            .or(word.strip_prefix("http://localhost"));
        path.map(|path| path.split('?').next().unwrap_or_default())
    });
    let is_path = |url: &str| {
        let (levels, asked): (Vec<_>, Vec<_>) = (path.split('/').collect(), url.split('/').collect());
        let mut pairs = levels.iter().zip(&asked);
        levels.len() == asked.len() && pairs.all(|(level, asked)| level == asked || level.starts_with('{'))
    };
    (method == "post") == command.contains(" -d ") && urls.into_iter().any(is_path)
}

#[tokio::test]
async fn they_do_what_the_document_says() {
    let scene = Scene::start(1).await;
    wait::until("the broker", async || {
        let health = scene.json("/healthz").await;
        health["broker"] == "connected" && health["commands"] == "taken"
    })
    .await;
    let examples = examples();
    let socket = scene.site.state().join("control.sock").display().to_string();
    let script: String = examples
        .iter()
        .map(|example| format!("{}\necho; echo '{END}'\n", example.command))
        .collect();
    let script = script
        .replace("http://127.0.0.1:8080", &scene.url())
        .replace("only-for-the-demo", TOKEN)
        .replace("/var/lib/lantime2mqtt/control.sock", &socket)
        .replace("sudo ", "");
    let output = shell(&script).await;
    let outputs: Vec<_> = output.split(END).collect();
    assert_eq!(outputs.len(), examples.len() + 1, "{output}");
    for (example, output) in examples.iter().zip(outputs) {
        let (lines, documented): (Vec<_>, Vec<_>) = (
            written(output.lines()),
            written(example.output.iter().map(String::as_str)),
        );
        assert_eq!(lines.len(), documented.len(), "{}: {output}", example.command);
        for (documented, line) in documented.into_iter().zip(lines) {
            let (documented, line) = match (documented.strip_prefix(EVENT), line.strip_prefix(EVENT)) {
                (Some(documented), Some(line)) => (documented, line),
                _ => (documented, line),
            };
            let is_so = match (elided(documented), serde_json::from_str(line)) {
                (Some(documented), Ok(line)) => has_form(&documented, &line),
                _ => matches(documented, line),
            };
            assert!(is_so, "{}:\n{documented}\nis in truth\n{line}", example.command);
        }
    }
}

async fn shell(script: &str) -> String {
    let mut shell = Command::new("bash");
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut shell = shell.spawn().expect("a shell");
    let mut input = shell.stdin.take().expect("piped");
    input.write_all(script.as_bytes()).await.expect("it reads");
    drop(input);
    let output = timeout(PATIENCE, shell.wait_with_output())
        .await
        .expect("it ends")
        .expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

fn written<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<&'l str> {
    lines.filter(|line| !line.is_empty()).collect()
}

/// JSON of the document, in which the member `..` stands for others.
fn elided(text: &str) -> Option<Value> {
    let text = text.replace("{..}", r#"{"..":0}"#).replace(",..", r#","..":0"#);
    serde_json::from_str(&text).ok()
}

/// Whether `found` has the members of `documented`, and no others unless `documented` says so, each of the same kind.
fn has_form(documented: &Value, found: &Value) -> bool {
    match (documented, found) {
        (Value::Object(documented), Value::Object(found)) => {
            let mut named = documented.iter().filter(|(name, _)| *name != "..");
            named.all(|(name, documented)| found.get(name).is_some_and(|found| has_form(documented, found)))
                && (documented.contains_key("..") || documented.len() == found.len())
        }
        (Value::Array(documented), Value::Array(found)) => documented
            .iter()
            .all(|documented| found.iter().any(|found| has_form(documented, found))),
        (Value::String(documented), Value::String(found)) => documented == ".." || documented == found,
        (Value::Bool(documented), Value::Bool(found)) => documented == found,
        (Value::Number(_), Value::Number(_)) => true,
        _ => false,
    }
}

/// Whether `found` is `documented`, in which `..` stands for anything.
fn matches(documented: &str, found: &str) -> bool {
    let mut parts = documented.split("..");
    let mut rest = parts.next().and_then(|first| found.strip_prefix(first));
    for part in parts {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some_and(|rest| rest.is_empty() || documented.ends_with(".."))
}

#[test]
fn what_is_not_so_is_found() {
    let has = |documented: &str, found: &str| {
        has_form(
            &elided(documented).expect("JSON"),
            &serde_json::from_str(found).expect("JSON"),
        )
    };
    assert!(has(
        r#"{"a":{..},"b":["x"],..}"#,
        r#"{"a":{"n":1},"b":["y","x"],"c":2}"#
    ));
    assert!(!has(r#"{"a":1}"#, r#"{"a":1,"b":2}"#) && !has(r#"{"a":1,..}"#, r#"{"b":2}"#));
    assert!(!has(r#"{"a":"x"}"#, r#"{"a":"y"}"#) && !has(r#"["x"]"#, "[]"));
    assert!(matches("v{..} 1", "v{2} 1") && !matches("v{..} 1", "v{2} 2") && !matches("204", "401"));
}
