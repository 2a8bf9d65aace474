//! `[sparkplug]`: the bridge as an edge node of Sparkplug.

use super::problem::Problem;
use super::section::Section;
use crate::model::{DeviceId, ShardId};

/// Longest id; a limit of ours.
const MAX_ID: usize = 128;

/// The level at which hosts publish their state: no group.
const STATE: &str = "STATE";

/// `[sparkplug]`: ids are levels of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparkplug {
    /// The group that the edge node belongs to.
    pub group: String,
    /// The edge node: one for each bridge, or cluster, of the group.
    pub edge_node: String,
    /// The host application without which nothing is published.
    pub primary_host: Option<String>,
}

impl Sparkplug {
    /// The same of the edge node of a shard: its id says which one.
    #[must_use]
    pub fn of_shard(self, shard: ShardId) -> Sparkplug {
        Sparkplug {
            edge_node: format!("{}-{shard}", self.edge_node),
            ..self
        }
    }
}

/// With that id of the edge node where none is written. `None` where it is not wanted, else only together with a problem.
pub(super) fn read(section: &Section<'_>, default: Option<&DeviceId>) -> Option<Sparkplug> {
    let is_enabled = section.flag("enabled");
    let group = section.read("group", id)?;
    if group == STATE {
        let what = "the level at which hosts publish their state";
        section.refuse("group", Problem::new(what, "take another name"));
    }
    let edge_node = section.read("edge_node", id);
    let sparkplug = Sparkplug {
        group,
        primary_host: section.read("primary_host", id),
        edge_node: edge_node.or_else(|| Some(default?.to_string()))?,
    };
    is_enabled.then_some(sparkplug)
}

/// One level of a topic, in upper or lower case.
fn id(text: &str) -> Option<String> {
    let is_foreign = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
    let is_id = (1..=MAX_ID).contains(&text.len()) && !text.contains(is_foreign);
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_level_of_a_topic() {
        for text in ["SCADA", "Plant 1:LANTIME", "Zürich"] {
            assert_eq!(id(text).as_deref(), Some(text));
        }
        for text in ["", "a/b", "+", "a#", "a\nb", &"x".repeat(129)] {
            assert!(id(text).is_none(), "{text:?}");
        }
    }
}
