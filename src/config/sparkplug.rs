//! `[sparkplug]`: the bridge as an edge node of Sparkplug.

use super::problem::{Complaint, complaint};
use super::section::Section;
use crate::model::DeviceId;

const DEFAULT_GROUP: &str = "lantime";

/// Longest id; a limit of ours.
const MAX_ID: usize = 128;

/// The level at which hosts tell whether they are there: no group.
const STATE: &str = "STATE";

/// `[sparkplug]`: ids are levels of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparkplug {
    /// The group that the edge node belongs to.
    pub group: String,
    /// The edge node: one for each bridge of the group.
    pub edge_node: String,
    /// The host application without which nothing is published.
    pub primary_host: Option<String>,
}

/// `None` where it is not wanted, else only together with a problem.
pub(super) fn read(mut section: Section<'_>, bridge: Option<&DeviceId>) -> Option<Sparkplug> {
    let is_enabled = section.flag("enabled").unwrap_or(false);
    let group = section.parsed("group", group);
    let edge_node = section.parsed("edge_node", id);
    let primary_host = section.parsed("primary_host", id);
    section.finish();
    if !is_enabled {
        return None;
    }
    Some(Sparkplug {
        group: group.unwrap_or_else(|| DEFAULT_GROUP.to_owned()),
        edge_node: edge_node.or_else(|| Some(bridge?.to_string()))?,
        primary_host,
    })
}

fn group(text: &str) -> Result<String, Complaint> {
    match text {
        STATE => Err(complaint(
            "the level at which hosts tell their state",
            "take another name",
        )),
        text => id(text),
    }
}

/// One level of a topic, in any letters.
fn id(text: &str) -> Result<String, Complaint> {
    let is_foreign = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
    if (1..=MAX_ID).contains(&text.len()) && !text.contains(is_foreign) {
        return Ok(text.to_owned());
    }
    Err(complaint(
        "not an id of Sparkplug",
        format!("write 1 to {MAX_ID} characters, without / + and #"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_level_of_a_topic() {
        for text in ["SCADA", "Plant 1:LANTIME", "Zürich"] {
            assert_eq!(id(text).ok().as_deref(), Some(text));
        }
        for text in ["", "a/b", "+", "a#", "a\nb", &"x".repeat(129)] {
            assert!(id(text).is_err(), "{text:?}");
        }
        assert!(group("STATE").is_err() && group("state").is_ok());
    }
}
