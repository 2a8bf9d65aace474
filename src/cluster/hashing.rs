//! Which shard a device belongs to, and which bridge suits a shard best when nothing else decides.
//!
//! Both follow from SHA-256, so they are the same in every version and on every machine, and can be computed by hand: the first
//! eight bytes of `printf m1 | sha256sum`, modulo the number of shards, are the shard of the device `m1`.

use ring::digest::{SHA256, digest};

use super::entries::{BridgeId, ShardId};
use crate::model::DeviceId;

/// The shard that a device belongs to. It changes only with the number of shards (none counts as one).
pub fn shard_of(device: &DeviceId, shards: u16) -> ShardId {
    let shard = hash(device.as_str()) % u64::from(shards.max(1));
    ShardId(u16::try_from(shard).unwrap_or_default())
}

/// How well a bridge suits a shard. Where several suit alike, the highest score decides (rendezvous hashing): if a bridge
/// leaves, only its own shards change their place.
pub fn score(bridge: &BridgeId, shard: ShardId) -> u64 {
    hash(&format!("{bridge}/{shard}"))
}

/// The first eight bytes of the SHA-256, the first one being the highest.
fn hash(text: &str) -> u64 {
    let digest = digest(&SHA256, text.as_bytes());
    let first = digest.as_ref().iter().take(8);
    first.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).unwrap()
    }

    /// `printf .. | sha256sum`. If this test fails, devices have moved to another shard: bridges of two versions would both
    /// poll them.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_eq!(hash(""), 0xe3b0_c442_98fc_1c14);
        assert_eq!(hash("abc"), 0xba78_16bf_8f01_cfea);
        assert_eq!(hash("m1"), 0xca0d_f2c9_5aa1_44c1);
        assert_eq!(score(&id("b1"), ShardId(7)), 0x242e_a70a_f359_ed0d);
        assert_eq!(shard_of(&id("m1"), 8), ShardId(1));
    }

    #[test]
    fn devices_spread_over_the_shards() {
        let mut devices = [0_u32; 8];
        for number in 0..8_000 {
            devices[usize::from(shard_of(&id(&format!("lantime-{number}")), 8).0)] += 1;
        }
        assert!(
            devices.iter().all(|count| (900..1_100).contains(count)),
            "{devices:?}"
        );
    }

    #[test]
    fn one_shard_has_all_devices() {
        assert_eq!(shard_of(&id("m1"), 1), ShardId(0));
        assert_eq!(shard_of(&id("m1"), 0), ShardId(0));
    }
}
