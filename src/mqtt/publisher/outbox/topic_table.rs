//! The entries of the outbox by topic, in little room: the topics of one owner begin with the same text, which is kept once,
//! and what follows is mostly the same for many owners, and kept once for all of them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{Entry, Topic};
use crate::model::Text;

/// Of a topic of discovery: the component, and whose entity it is.
const OWNER_IN_DISCOVERY: usize = 2;
/// Of any other topic: the device.
const OWNER_IN_STATE: usize = 1;

/// What follows the owner in a topic. A pointer, and no length beside it: there is one for each topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ending(Arc<Text>);

impl Ending {
    fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Ending {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

#[derive(Debug, Default)]
pub(super) struct TopicTable {
    /// What topics begin with, and how many levels follow that are the owner's: the first one that fits counts.
    owners_below: Vec<(String, usize)>,
    /// By what the topics of an owner begin with; each by what follows, in that order.
    owners: BTreeMap<Box<str>, Vec<(Ending, Entry)>>,
    /// What follows, of all owners.
    endings: HashSet<Ending>,
    len: usize,
    /// How many topics there were when all room to spare was last given back.
    packed: usize,
}

/// A topic of the table.
pub(super) struct Row<'t> {
    owner: &'t str,
    ending: &'t str,
    pub(super) entry: &'t Entry,
}

impl Row<'_> {
    pub(super) fn topic(&self) -> Topic {
        Topic::from([self.owner, self.ending].concat())
    }
}

impl TopicTable {
    /// For topics below `state` and `discovery`, each with the slash at its end.
    pub(super) fn new(state: String, discovery: Option<String>) -> TopicTable {
        let discovery = discovery.map(|below| (below, OWNER_IN_DISCOVERY));
        TopicTable {
            owners_below: discovery.into_iter().chain([(state, OWNER_IN_STATE)]).collect(),
            ..TopicTable::default()
        }
    }

    /// What the topics of the same owner begin with, and what follows in this one. Of topics elsewhere all but the last level
    /// counts as the owner's.
    fn split<'t>(&self, topic: &'t str) -> (&'t str, &'t str) {
        let owned = self.owners_below.iter().find_map(|(known, levels)| {
            let below = topic.strip_prefix(known.as_str())?;
            let (end, _) = below.match_indices('/').nth(levels - 1)?;
            Some(known.len() + end)
        });
        let end = owned.or_else(|| topic.rfind('/'));
        topic.split_at(end.map_or(0, |end| end + 1))
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Entry> {
        let (owner, ending) = self.split(topic);
        let entries = self.owners.get(owner)?;
        let place = place(entries, ending).ok()?;
        Some(&entries[place].1)
    }

    pub(super) fn get_mut(&mut self, topic: &str) -> Option<&mut Entry> {
        let (owner, ending) = self.split(topic);
        let entries = self.owners.get_mut(owner)?;
        let place = place(entries, ending).ok()?;
        Some(&mut entries[place].1)
    }

    /// Adds a topic; one that is there already stays as it is.
    pub(super) fn insert(&mut self, topic: &str, entry: Entry) {
        let (owner, ending) = self.split(topic);
        if !self.owners.contains_key(owner) {
            self.owners.insert(owner.into(), Vec::new());
        }
        let Some(entries) = self.owners.get_mut(owner) else {
            return;
        };
        if let Err(place) = place(entries, ending) {
            let shared = self.endings.get(ending).cloned().unwrap_or_else(|| {
                let shared = Ending(Arc::new(ending.into()));
                self.endings.insert(shared.clone());
                shared
            });
            entries.insert(place, (shared, entry));
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, topic: &str) -> Option<Entry> {
        let (owner, ending) = self.split(topic);
        let entries = self.owners.get_mut(owner)?;
        let (shared, entry) = entries.remove(place(entries, ending).ok()?);
        self.len -= 1;
        // Only this one and that of the set are left.
        if Arc::strong_count(&shared.0) == 2 {
            self.endings.remove(&shared);
        }
        if entries.is_empty() {
            self.owners.remove(owner);
        }
        Some(entry)
    }

    /// All topics, owner by owner.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.owners
            .iter()
            .flat_map(|(owner, entries)| rows(owner, entries))
    }

    /// The topics that begin with `prefix`.
    pub(super) fn below<'t>(&'t self, prefix: &'t str) -> impl Iterator<Item = Row<'t>> {
        let (owner, beginning) = self.split(prefix);
        let within = self.owners.get(owner).filter(|_| !beginning.is_empty());
        let within = within.into_iter().flat_map(move |entries| rows(owner, entries));
        let bounds = (Bound::Included(prefix), Bound::Unbounded);
        self.owners
            .range::<str, _>(bounds)
            .take_while(move |(owner, _)| owner.starts_with(prefix))
            .flat_map(|(owner, entries)| rows(owner, entries))
            .chain(within.filter(move |row| row.ending.starts_with(beginning)))
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Gives back what room there is to spare, once many topics have come since that was last done.
    pub(super) fn pack(&mut self) {
        if self.len > self.packed + self.packed / 4 {
            self.packed = self.len;
            self.owners.values_mut().for_each(Vec::shrink_to_fit);
            // A map whose keys came in their order, as they do at the start, has nodes that are half empty.
            self.owners = std::mem::take(&mut self.owners).into_iter().collect();
        }
    }
}

/// Where what ends so is, or would be.
fn place(entries: &[(Ending, Entry)], ending: &str) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| known.as_str().cmp(ending))
}

fn rows<'t>(owner: &'t str, entries: &'t [(Ending, Entry)]) -> impl Iterator<Item = Row<'t>> {
    entries.iter().map(move |(ending, entry)| Row {
        owner,
        ending: ending.as_str(),
        entry,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::{Content, Recorded};
    use super::*;

    fn table() -> TopicTable {
        TopicTable::new("l/".to_owned(), Some("l/h/".to_owned()))
    }

    fn topics<'t>(rows: impl Iterator<Item = Row<'t>>) -> BTreeSet<String> {
        rows.map(|row| row.topic().to_string()).collect()
    }

    proptest! {
        #[test]
        fn it_has_the_topics_of_a_plain_set(
            steps in proptest::collection::vec(("[lh/m]{0,9}", any::<bool>()), 0..64),
            prefix in "[lh/m]{0,5}",
        ) {
            let (mut table, mut plain) = (table(), BTreeSet::new());
            for (topic, is_added) in steps {
                match is_added {
                    true => {
                        table.insert(&topic, Entry::new(Content::Cleared, Recorded::Yes));
                        plain.insert(topic);
                    }
                    false => assert_eq!(table.remove(&topic).is_some(), plain.remove(&topic)),
                }
                table.pack();
            }
            assert_eq!(topics(table.iter()), plain);
            assert_eq!(table.len(), plain.len());
            let below = plain.iter().filter(|topic| topic.starts_with(&prefix));
            assert_eq!(topics(table.below(&prefix)), below.cloned().collect());
            assert_eq!(table.below(&prefix).count(), topics(table.below(&prefix)).len());
            assert!(plain.iter().all(|topic| table.get(topic).is_some() && table.get_mut(topic).is_some()));
        }
    }

    #[test]
    fn nothing_stays_of_topics_that_are_removed() {
        let mut table = table();
        let all = ["l/m1/state", "l/m2/state", "l/h/sensor/m1/state"];
        for topic in all {
            table.insert(topic, Entry::new(Content::Cleared, Recorded::Yes));
        }
        assert_eq!((table.owners.len(), table.endings.len()), (3, 1), "shared");
        for topic in all {
            table.remove(topic);
        }
        assert_eq!((table.owners.len(), table.endings.len()), (0, 0));
    }
}
