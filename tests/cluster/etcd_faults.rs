//! etcd fails in one way or another: polls go on, nothing moves, it is one incident, and commands wait until it is over.

use std::path::PathBuf;

use lantime2mqtt::cluster::etcd::Operation;
use lantime2mqtt::simulator::{Action, Clock};
use serde_json::Value;

use crate::history::{History, client};
use crate::members::Member;
use crate::operator::Scene;
use crate::support::etcd::{Etcd, Options, Tls};
use crate::support::http::get_at;
use crate::support::openssl::{Certificates, NAMES, P256};
use crate::support::site::Site;
use crate::support::{Seen, wait};

const PASSWORD: &str = "correct-horse";

/// The open incidents of a bridge that concern the cluster.
async fn incidents(member: &Member) -> Vec<Value> {
    let answer = get_at(&member.site.socket(), "/api/incidents").await;
    let mut open = answer.expect("it answers").json();
    let open = open.as_array_mut().expect("a list");
    open.retain(|incident| incident["kind"] == "cluster");
    std::mem::take(open)
}

/// Waits until there is one, and gives it.
async fn incident(member: &Member) -> Value {
    let mut found = Vec::new();
    wait::until("an incident", async || {
        found = incidents(member).await;
        !found.is_empty()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Waits until no bridge has one: a minute after it is well again.
#[cfg(feature = "stress")]
async fn all_over(scene: &Scene) {
    let patience = 4 * crate::support::PATIENCE;
    let is_over = async || {
        for member in &scene.cluster.members {
            let open = incidents(member).await;
            if !open.is_empty() {
                return Err(format!("{open:?}"));
            }
        }
        Ok(())
    };
    wait::within(patience, "the incidents are over", is_over).await;
}

impl Scene {
    /// A relay falls and rises, and its topic shows that.
    async fn state_goes_on(&mut self) {
        for (action, position) in [
            (Action::LoseSync(Clock::Clk1), "NC"),
            (Action::RegainSync(Clock::Clk1), "NO"),
        ] {
            self.device(0).apply(&action).unwrap();
            let has_moved = |seen: &Seen| seen.json("sim-1/io3/relay/a")["position"] == position;
            self.cluster.watcher.until("the relay has moved", has_moved).await;
        }
    }

    /// Sends a command, and waits for its reply.
    async fn command_works(&mut self) {
        self.select(0, 0).await;
        self.all_answered().await;
    }

    /// Nobody has moved or stopped, all commands were carried out.
    async fn assert_as_before(&self, owner: usize) {
        self.assert_all_is_well().await;
        assert_eq!(self.cluster.owner(), owner);
        assert_eq!(History::of(&self.cluster.etcd).await.owners(), 1);
    }
}

/// The node that leads.
async fn leader(etcd: &Etcd) -> usize {
    let status = etcd.control(&["endpoint", "status", "-w", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let leads = |node: &Value| node["Status"]["leader"] == node["Status"]["header"]["member_id"];
    status
        .as_array()
        .unwrap()
        .iter()
        .position(leads)
        .expect("one leads")
}

#[tokio::test]
async fn a_node_that_fails_is_not_noticed_and_without_a_majority_commands_wait() {
    let etcd = Etcd::cluster();
    let endpoints = etcd.endpoints();
    let change = move |site: Site| site.with("cluster.endpoints", endpoints.clone());
    let mut scene = Scene::with(2, 1, etcd, change).await.started().await;
    let owner = scene.cluster.owner();
    let first = leader(&scene.cluster.etcd).await;
    scene.cluster.etcd.kill(first);
    scene.command_works().await;
    scene.cluster.etcd.restart(first);
    let follower = (leader(&scene.cluster.etcd).await + 1) % 3;
    scene.cluster.etcd.freeze(follower).await;
    scene.command_works().await;
    for member in &scene.cluster.members {
        assert_eq!(incidents(member).await, Vec::<Value>::new());
    }
    scene.cluster.etcd.thaw(follower);

    let dead = [first, (first + 1) % 3];
    dead.iter().for_each(|node| scene.cluster.etcd.kill(*node));
    for member in &scene.cluster.members {
        // It comes after the time for which a lease lives.
        assert_eq!(incident(member).await["subject"], "etcd");
    }
    scene.select(0, 0).await;
    scene.state_goes_on().await;
    assert_eq!(scene.replies().len(), 2, "it waits");
    scene.cluster.etcd.start_again(&dead);
    scene.all_answered().await;
    for member in &scene.cluster.members {
        assert_eq!(incident(member).await["count"], 1, "it is one incident");
    }
    scene.assert_as_before(owner).await;
    #[cfg(feature = "stress")]
    all_over(&scene).await;
}

#[tokio::test]
async fn commands_wait_while_the_database_is_full() {
    let options = Options {
        arguments: vec!["--quota-backend-bytes", "4194304"],
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options);
    let mut scene = Scene::with(2, 1, etcd, |site| site).await.started().await;
    let owner = scene.cluster.owner();
    let client = client(&scene.cluster.etcd);
    let large = Operation::Put {
        key: "large".into(),
        value: vec![b'x'; 500_000],
        lease: None,
    };
    while client.transact(&[], &[large.clone()], &[]).await.is_ok() {}

    scene.select(0, 0).await;
    let incident = incident(&scene.cluster.members[owner]).await;
    assert_eq!(incident["subject"], "commands", "{incident}");
    assert!(
        incident.to_string().contains("etcdctl alarm disarm"),
        "{incident}"
    );
    scene.state_goes_on().await;
    assert_eq!(scene.replies().len(), 0, "it waits");
    let revision = client
        .range(&lantime2mqtt::cluster::etcd::Keys::one("large"), None)
        .await;
    let etcd = &scene.cluster.etcd;
    etcd.control(&["compact", &revision.unwrap().revision.to_string()]);
    etcd.control(&["defrag"]);
    etcd.control(&["alarm", "disarm"]);
    scene.all_answered().await;
    assert_eq!(scene.cluster.owner(), owner);
    #[cfg(feature = "stress")]
    all_over(&scene).await;
}

#[tokio::test]
async fn commands_wait_while_the_password_is_another_one() {
    let etcd = Etcd::start();
    etcd.require_login(PASSWORD);
    let login = |site: Site| {
        site.with("cluster.username", "root")
            .with("cluster.password", PASSWORD)
    };
    let mut scene = Scene::with(2, 1, etcd, login).await.started().await;
    let owner = scene.cluster.owner();
    scene.cluster.etcd.change_password(PASSWORD, "wrong-horse");
    let incident = incident(&scene.cluster.members[owner]).await;
    assert_eq!(incident["error"]["kind"], "unauthorized", "{incident}");
    assert!(!incident.to_string().contains("horse"), "{incident}");
    scene.select(0, 0).await;
    scene.state_goes_on().await;
    assert_eq!(scene.replies().len(), 0, "it waits");
    scene.cluster.etcd.change_password("wrong-horse", PASSWORD);
    scene.all_answered().await;
    assert_eq!(scene.cluster.owner(), owner);
    #[cfg(feature = "stress")]
    all_over(&scene).await;
}

#[tokio::test]
async fn a_bridge_whose_certificate_has_expired_says_so_and_polls_nothing() {
    let certificates = Certificates::new();
    let server = certificates.issue("server", P256, Some(NAMES));
    let usage = Some("extendedKeyUsage = clientAuth\n");
    let expired = certificates.issue_for_days("bridge", P256, usage, -1);
    let tls = Tls {
        server,
        clients: Some(PathBuf::from(certificates.ca())),
    };
    let options = Options {
        tls: Some(tls),
        ..Options::default()
    };
    let etcd = Etcd::start_with(1, options);
    let endpoints = etcd.endpoints();
    let change = |site: Site| {
        site.with("cluster.endpoints", endpoints.clone())
            .with("cluster.ca", certificates.ca())
            .with("cluster.certificate", expired.certificate.display().to_string())
            .with("cluster.key", expired.key.display().to_string())
    };
    let mut scene = Scene::with(1, 1, etcd, change).await;
    scene.cluster.members[0].start();
    let is_up = |seen: &Seen| seen.text("bridge/b1/state") == "online";
    scene.cluster.watcher.until("the bridge is there", is_up).await;
    let incident = incident(&scene.cluster.members[0]).await;
    assert_eq!(incident["error"]["kind"], "tls", "{incident}");
    assert_eq!(scene.device(0).counters().documents, 0);
}
