//! What etcd has seen of a cluster, from its first transaction on: whoever wrote for a shard owned it at that moment.

use std::collections::BTreeMap;
use std::time::Duration;

use lantime2mqtt::cluster::etcd::{Change, Client, Keys, Operation, Settings};
use lantime2mqtt::tls::ClientTls;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::etcd::Etcd;

/// What all keys of the cluster begin with.
const ROOT: &str = "/lantime2mqtt/test/";
/// What only owners of a shard write. Its number follows.
const FENCED: [&str; 5] = ["inbox/", "replies/", "answers/", "marks/", "writes/"];

/// All changes, in the order in which they were made.
pub(crate) struct History(Vec<Change>);

/// A client of etcd that goes through no proxy.
pub(crate) fn client(etcd: &Etcd) -> Client {
    let settings = Settings {
        endpoints: etcd.endpoints(),
        tls: ClientTls::default(),
        login: None,
        timeout: Duration::from_secs(5),
        watch_idle: Duration::from_millis(500),
    };
    Client::new(&settings).unwrap()
}

impl History {
    /// Until now.
    pub(crate) async fn of(etcd: &Etcd) -> History {
        let client = client(etcd);
        let end = format!("{ROOT}~");
        let put = Operation::Put {
            key: end.clone().into(),
            value: Vec::new(),
            lease: None,
        };
        let now = client.transact(&[], &[put], &[]).await.unwrap().revision;
        let mut watch = client.watch(&Keys::prefix(ROOT), 1).await.unwrap();
        let mut changes = Vec::new();
        loop {
            let next = timeout(PATIENCE, watch.next()).await;
            for change in next.expect("etcd has them").unwrap() {
                if change.revision() == now {
                    return History(changes);
                }
                changes.push(change);
            }
        }
    }

    /// Who owned each shard, and wrote there for each device, in this order: the keys of their marks, and the bridges.
    ///
    /// # Panics
    /// When something was written for a shard that nobody owned, or with a token that was not its owner's, or to a device while
    /// the mark of another one stood.
    pub(crate) fn writers(&self) -> BTreeMap<String, Vec<String>> {
        let (mut owners, mut writers) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        let mut marks = BTreeMap::new();
        for change in &self.0 {
            let key = std::str::from_utf8(change.key())
                .unwrap()
                .strip_prefix(ROOT)
                .unwrap();
            if let Some(shard) = key.strip_prefix("election/shards/") {
                match change {
                    Change::Put(entry) => owners.insert(shard, (entry.create_revision, bridge(&entry.value))),
                    Change::Delete { .. } => owners.remove(shard),
                };
                continue;
            }
            let Some((shard, rest)) = FENCED.iter().find_map(|prefix| shard_of(key, prefix)) else {
                continue;
            };
            let Change::Put(entry) = change else {
                marks.remove(key);
                continue;
            };
            let owner = owners.get(shard);
            let (token, owner) =
                owner.unwrap_or_else(|| panic!("nobody owned the shard: {key} at {}", entry.mod_revision));
            if key.starts_with("writes/") {
                let by = String::from_utf8(entry.value.clone()).unwrap();
                assert_eq!(by, token.to_string(), "{key} was not marked by the owner");
                let before = marks.insert(key, by.clone());
                assert!(before.is_none_or(|before| before == by), "{key} had another mark");
                writers.entry(rest.to_owned()).or_default().push(owner.clone());
            }
        }
        writers
    }

    /// How often a shard got an owner.
    pub(crate) fn owners(&self) -> usize {
        let shards = format!("{ROOT}election/shards/");
        let is_claim = |change: &&Change| {
            change.key().starts_with(shards.as_bytes()) && matches!(change, Change::Put(_))
        };
        self.0.iter().filter(is_claim).count()
    }
}

/// The shard of a key of that kind, and what follows.
fn shard_of<'k>(key: &'k str, kind: &str) -> Option<(&'k str, &'k str)> {
    let key = key.strip_prefix(kind)?;
    Some(key.split_once('/').unwrap_or((key, "")))
}

/// The bridge in the value of a shard's key.
fn bridge(value: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(value).unwrap();
    value["bridge"].as_str().unwrap().to_owned()
}
