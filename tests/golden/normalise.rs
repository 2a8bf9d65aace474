//! Replaces what differs from run to run: times, ids, ports, the version, and what is measured.

use serde_json::Value;

/// How such texts look, `d` being a digit and `x` a hexadecimal one; longer ones first.
const FORMS: [(&str, &str); 3] = [
    ("xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx", "<id>"),
    ("dddd-dd-ddTdd:dd:dd.dddZ", "<time>"),
    ("dddd-dd-ddTdd:dd:ddZ", "<time>"),
];
/// What comes before a port.
const HOST: &str = "127.0.0.1:";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Keys whose numbers depend on time.
const MEASURED: [&str; 14] = [
    "polls",
    "failures",
    "last",
    "mean",
    "p50",
    "p95",
    "p99",
    "max",
    "request_ms",
    "response_ms",
    "rtt_ms",
    "bytes",
    // Statistics are published every ten seconds.
    "pending",
    // Less than there are records only once the store has written that they were sent.
    "record_bytes",
];

/// A text with placeholders.
pub(crate) fn text(text: &str) -> String {
    let (mut found, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let is_in_number = found.ends_with(|last: char| last.is_ascii_digit() || last == '.');
        let (replacement, length) =
            placeholder(rest, is_in_number).unwrap_or_else(|| (next.to_string(), next.len_utf8()));
        found.push_str(&replacement);
        rest = &rest[length..];
    }
    found
}

/// What stands for the beginning of a text, and how much of it that is.
fn placeholder(text: &str, is_in_number: bool) -> Option<(String, usize)> {
    for (form, placeholder) in FORMS {
        if has_form(text, form) {
            return Some((placeholder.to_owned(), form.len()));
        }
    }
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if let Some(port) = text.strip_prefix(HOST)
        && digits(port) > 0
    {
        return Some((format!("{HOST}<port>"), HOST.len() + digits(port)));
    }
    let after = text.strip_prefix(VERSION)?;
    let is_whole = !is_in_number && !after.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    is_whole.then(|| ("<version>".to_owned(), VERSION.len()))
}

fn has_form(text: &str, form: &str) -> bool {
    let fits = |(byte, wanted): (&u8, u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        wanted => *byte == wanted,
    };
    text.len() >= form.len() && text.as_bytes().iter().zip(form.bytes()).all(fits)
}

/// A payload: JSON with sorted keys, any other text as it is. The only list that is published is that of HTTP sessions.
pub(crate) fn payload(payload: &str) -> String {
    match serde_json::from_str::<Value>(payload) {
        Ok(Value::Array(sessions)) => field("sessions", json(sessions.into())).to_string(),
        Ok(value) => json(value).to_string(),
        Err(_) => text(payload),
    }
}

/// JSON with placeholders.
pub(crate) fn json(value: Value) -> Value {
    match value {
        Value::String(found) => Value::String(text(&found)),
        Value::Array(values) => Value::Array(values.into_iter().map(json).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let value = field(&key, json(value));
                (key, value)
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

fn field(key: &str, value: Value) -> Value {
    match value {
        Value::Number(_) if MEASURED.contains(&key) => "<n>".into(),
        Value::Array(sessions) if key == "sessions" => kinds_of_sessions(sessions),
        other => other,
    }
}

/// How many HTTP requests there were depends on time: one of each kind is kept.
fn kinds_of_sessions(sessions: Vec<Value>) -> Value {
    let mut kinds = Vec::new();
    for mut session in sessions {
        session["id"] = "<n>".into();
        if !kinds.contains(&session) {
            kinds.push(session);
        }
    }
    kinds.sort_by_key(Value::to_string);
    Value::Array(kinds)
}

/// The scalars of a JSON document, each with the way to it: `slots.io3.state`.
pub(crate) fn scalars(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, path: String, found: &mut Vec<(String, String)>) {
    let below = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                collect(value, below(key), found);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for (place, value) in values.iter().enumerate() {
                collect(value, format!("{path}[{place}]"), found);
            }
        }
        other => found.push((path, other.to_string())),
    }
}
