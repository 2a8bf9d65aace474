//! Where an entity reads its state, and what Home Assistant makes of the payload there: templates, by layout.

use serde_json::{Map, Value, json};

use crate::config::Layout;
use crate::contract::topics::{StateTopic, Topics, field};

/// The topics of a bridge in its layout.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    pub(super) topics: Topics,
    pub(super) layout: Layout,
}

/// One field of the contract: its topic, and the expression that gives it there.
#[derive(Debug)]
pub(super) struct Source {
    topic: String,
    expression: String,
}

impl Sources {
    /// That field of that topic.
    pub(super) fn field(&self, topic: &StateTopic, path: &[&str]) -> Source {
        let topic = self.topics.state(topic);
        match self.layout {
            Layout::Scalar => Source {
                topic: field(&topic, &path.join("/")),
                expression: "value".to_owned(),
            },
            // Nothing is there where the topic was cleared, and fields that do not apply are left out.
            Layout::Json | Layout::Both => Source {
                topic,
                expression: path.iter().fold("value_json".to_owned(), |object, name| {
                    format!("({object} | default({{}})).{name}")
                }),
            },
        }
    }

    /// A topic whose payload is one word in every layout.
    pub(super) fn word(&self, topic: &StateTopic) -> Source {
        Source {
            topic: self.topics.state(topic),
            expression: "value".to_owned(),
        }
    }

    /// The attributes that the whole object gives; the scalar layout has none.
    pub(super) fn attributes(&self, topic: &StateTopic) -> Map<String, Value> {
        match self.layout {
            Layout::Scalar => Map::new(),
            Layout::Json | Layout::Both => fields(json!({
                "json_attributes_topic": self.topics.state(topic),
                "json_attributes_template": "{{ value or '{}' }}",
            })),
        }
    }
}

impl Source {
    /// On, off, or unknown for any other word.
    pub(super) fn on_off(&self, on: &[&str], off: &[&str]) -> Map<String, Value> {
        let words = |words: &[&str], state| {
            let pairs = words.iter().map(|word| format!("'{word}': '{state}'"));
            pairs.collect::<Vec<_>>().join(", ")
        };
        let (on, off) = (words(on, "ON"), words(off, "OFF"));
        let expression = &self.expression;
        self.state(format!(
            "{{{{ {{{on}, {off}}}.get({expression} | string | lower, 'None') }}}}"
        ))
    }

    /// The text itself; `otherwise` where there is none.
    pub(super) fn text(&self, otherwise: &str) -> Map<String, Value> {
        let expression = &self.expression;
        self.state(format!("{{{{ {expression} | default('{otherwise}', true) }}}}"))
    }

    /// Whether the list has that name: `ON` or `OFF`, or unknown.
    pub(super) fn lists(&self, name: &str) -> Map<String, Value> {
        let expression = &self.expression;
        // A list, or in the scalar layout its names with commas between them.
        self.state(format!(
            "{{% set events = {expression} | default([], true) %}}\
             {{% set events = events.split(',') if events is string else events %}}\
             {{{{ 'None' if events == ['unknown'] else 'ON' if '{name}' in events else 'OFF' }}}}"
        ))
    }

    fn state(&self, template: String) -> Map<String, Value> {
        fields(json!({ "state_topic": self.topic, "value_template": template }))
    }
}

/// The fields of an object.
pub(super) fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        other => unreachable!("an object is written there, not {other}"),
    }
}
