//! Other bridges at the broker: none of those that are online has the id of this one, or devices with the ids of its devices.

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::Failure;
use super::devices::Answers;
use super::prompt::Prompt;
use super::{broker, text};
use crate::config::Broker;
use crate::model::DeviceId;
use crate::mqtt::neighbours::{Neighbours, neighbours};

/// Ids that are named in a message.
const NAMED: usize = 5;

/// Looks for them. Where that cannot be done, that is said, and none is known.
pub(super) async fn look(broker: &broker::Answers, bridge: &str, prompt: &mut Prompt<'_>) -> Neighbours {
    let (Broker::Remote { .. }, Some(bridge)) = (&broker.settings.broker, DeviceId::new(bridge)) else {
        return Neighbours::default();
    };
    match neighbours(&broker.settings, bridge).await {
        Ok(found) => found,
        Err(reason) => {
            prompt.say(&format!(
                "Whether another bridge is at the broker could not be looked up: {reason}"
            ));
            Neighbours::default()
        }
    }
}

/// An id for this bridge that no bridge has that is online.
pub(super) fn settle_bridge(
    mut id: String,
    neighbours: &Neighbours,
    prompt: &mut Prompt<'_>,
) -> Result<String, Failure> {
    while neighbours.online.contains(&id) {
        let problem = format!(
            "A bridge with the id {id:?} is online at this broker. Two with one id would end each other's connections."
        );
        if !prompt.is_interactive {
            return Err(anyhow!(
                "{problem}\nnothing is written; give this bridge an id of its own with --bridge-id, or add the devices to the \
                 configuration of the other one: lantime2mqtt probe URL --append FILE"
            )
            .into());
        }
        prompt.say(&format!(
            "{problem}\nTo add devices to that one instead, end this with Ctrl-C: lantime2mqtt probe URL --append FILE"
        ));
        let answer = prompt.ask("Id of this bridge", &free(&id, &neighbours.online), "--bridge-id")?;
        match text::check("off", &answer) {
            Ok(()) => id = answer,
            Err(Failure::Usage(problem)) => prompt.say(&problem),
            Err(other) => return Err(other),
        }
    }
    Ok(id)
}

/// Sees to it that no device has an id that the broker has a device of, while another bridge is online.
pub(super) fn settle_devices(
    devices: &mut Answers,
    neighbours: &Neighbours,
    is_given_new_ids: bool,
    prompt: &mut Prompt<'_>,
) -> Result<(), Failure> {
    let ids = devices.devices.iter().map(|found| found.id.as_str());
    let in_use: Vec<_> = ids.filter(|id| neighbours.devices.contains(*id)).collect();
    // Without a bridge that is online, they are what an earlier one has left.
    if in_use.is_empty() || neighbours.online.is_empty() {
        return Ok(());
    }
    if !is_given_new_ids {
        let bridges = Vec::from_iter(neighbours.online.iter().map(String::as_str));
        let problem = format!(
            "Another bridge is online at this broker ({}), and the broker has devices with these ids: {}. Two bridges would \
             overwrite each other's topics.",
            named(&bridges),
            named(&in_use)
        );
        let remedy = "lantime2mqtt probe URL --append FILE adds devices to the configuration of a bridge";
        if !prompt.is_interactive {
            return Err(anyhow!(
                "{problem}\nnothing is written; if they are the same devices, leave them to that bridge; if not, give them \
                 other ids with --new-ids; {remedy}"
            )
            .into());
        }
        prompt.say(&problem);
        let question = "Are these other devices than those, which are to get other ids?";
        if !prompt.confirm(question, false, "--new-ids")? {
            return Err(anyhow!("nothing is written; {remedy}").into());
        }
    }
    for (old, new) in devices.rename(&neighbours.devices) {
        prompt.say(&format!("{old} is in use at the broker: this one becomes {new}"));
    }
    Ok(())
}

fn named(ids: &[&str]) -> String {
    let shown = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Answers {
    /// Gives those whose ids are `in_use` elsewhere others, with a number; gives the old and the new ones.
    pub(super) fn rename(&mut self, in_use: &BTreeSet<String>) -> Vec<(String, String)> {
        let own = self.devices.iter().map(|found| found.id.clone());
        let mut taken: BTreeSet<_> = own.chain(in_use.iter().cloned()).collect();
        let mut renamed = Vec::new();
        for found in &mut self.devices {
            if in_use.contains(&found.id) {
                let old = std::mem::take(&mut found.id);
                found.id = free(&old, &taken);
                taken.insert(found.id.clone());
                renamed.push((old, found.id.clone()));
            }
        }
        renamed
    }
}

/// The id with the first number that makes it none of these.
fn free(id: &str, taken: &BTreeSet<String>) -> String {
    let mut numbered = (2..).map(|number| format!("{id}-{number}"));
    let free = numbered.find(|id| !taken.contains(id));
    free.unwrap_or_else(|| id.to_owned())
}
