//! Shards: which devices a bridge of a cluster works for.

use std::fmt;

use serde::{Serialize, Serializer};

/// The number of a shard, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shards of a cluster that has so many.
    pub fn all(shards: u16) -> impl Iterator<Item = ShardId> {
        (0..shards).map(ShardId)
    }
}

impl Serialize for ShardId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As in keys, topics, client ids and JSON: `00`.
impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_two_digits() {
        assert_eq!(ShardId(3).to_string(), "03");
        assert_eq!(ShardId(123).to_string(), "123");
    }
}
