//! The scalar layout: a topic with plain text for each field of an object, for clients that read no JSON.

use serde::Serialize;
use serde_json::Value;

/// A list whose elements have no name: it is JSON, also when it is empty.
const TABLE: &str = "sessions";

/// The fields of `object` that apply now, each with its path below the object's topic and its text. Objects have a path
/// for each of their fields, and lists of names are joined by commas. No text is empty: an empty payload would clear the
/// topic.
pub(crate) fn fields(object: &impl Serialize) -> Vec<(String, String)> {
    let object = serde_json::to_value(object).expect("texts, numbers and flags can be written as JSON");
    let mut fields = Vec::new();
    walk("", &object, &mut fields);
    fields
}

fn walk(path: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    if let Value::Object(members) = value {
        for (name, value) in members {
            match path {
                "" => walk(name, value, fields),
                _ => walk(&format!("{path}/{name}"), value, fields),
            }
        }
        return;
    }
    let text = match path {
        TABLE => value.to_string(),
        _ => text(value),
    };
    if !text.is_empty() {
        fields.push((path.to_owned(), text));
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Without the `.0` that JSON gives a measured number.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        Value::Array(items) => items.iter().filter_map(name).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

/// The name that an element of a list is, or has: causes do.
fn name(element: &Value) -> Option<&str> {
    element.as_str().or_else(|| element.get("cause")?.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_has_its_path_and_its_text() {
        let object = json!({
            "position": "NC",
            "fault": true,
            "hostname": "",
            "names": ["a", "b"],
            "none": [],
            "causes": [{"cause": "x", "since": "now"}, {"cause": "y", "since": "then"}],
            "rtt_ms": {"mean": 1.5, "max": 3.0, "of": {"polls": 7}},
            "sessions": [],
        });
        let expected = [
            ("causes", "x,y"),
            ("fault", "true"),
            ("names", "a,b"),
            ("position", "NC"),
            ("rtt_ms/max", "3"),
            ("rtt_ms/mean", "1.5"),
            ("rtt_ms/of/polls", "7"),
            ("sessions", "[]"),
        ];
        let mut found = fields(&object);
        found.sort();
        assert_eq!(
            found,
            expected.map(|(path, text)| (path.to_owned(), text.to_owned()))
        );
    }
}
