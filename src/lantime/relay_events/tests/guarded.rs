//! Where the cluster does not permit it, nothing that changes something is sent.

use super::*;
use crate::cluster::etcd::{Client, Settings};
use crate::cluster::fence::Gate;
use crate::cluster::write_guard::WriteGuard;
use crate::model::{DeviceId, ShardId};
use crate::tls::ClientTls;

/// It permits nothing, without asking anybody.
fn refusing() -> DeviceGuard {
    let settings = Settings {
        endpoints: vec!["http://127.0.0.1:1".to_owned()],
        tls: ClientTls::default(),
        login: None,
        timeout: Duration::from_secs(1),
        watch_idle: Duration::from_secs(1),
    };
    let fence = Gate::closed().fence();
    let guard = WriteGuard::new(Client::new(&settings).unwrap(), "test", ShardId(0), fence);
    DeviceGuard::new(Some(guard), &DeviceId::new("x").unwrap())
}

impl Scene {
    fn backend(&mut self, via: Via) -> Backend<'_> {
        match via {
            Via::Rest => Backend::Rest(&mut self.client, self.profiles.for_version(None)),
            Via::Snmp => Backend::Snmp(&mut self.manager),
        }
    }

    /// What is to be changed so that only this event switches relay A.
    async fn plan(&mut self, via: Via, event: &str) -> Plan {
        let request = self.request(&[event]);
        let mut backend = self.backend(via);
        let before = backend.read().await.unwrap();
        let action = backend.action(&request.place);
        let desired = before.desired(&action, &request.change, &request.view.events);
        before.plan(&action, &desired.unwrap())
    }

    /// Writes it and has it applied, as far as the guard permits.
    async fn bring_into_force(&mut self, via: Via, plan: &Plan, guard: &DeviceGuard) -> Result<(), Failure> {
        let progress = self.progress.clone();
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut backend = self.backend(via);
        backend.bring_into_force(plan, guard, deadline, &progress).await
    }
}

#[tokio::test]
async fn a_write_that_is_not_permitted_is_not_sent_and_nothing_of_it_is_left() {
    for via in [Via::Rest, Via::Snmp] {
        let mut scene = Scene::start().await;
        let plan = scene.plan(via, "antenna-faulty").await;
        let refused = scene.bring_into_force(via, &plan, &refusing()).await.unwrap_err();
        assert!(refused.is_undone && !refused.is_final, "{refused:?}");
        assert_eq!(
            (refused.report.kind, scene.writes()),
            (ErrorKind::Busy, (0, 0)),
            "{via:?}"
        );
        // Nor is it even read: what an earlier owner is writing is no base for a change.
        let reads = |scene: &Scene| {
            let counters = scene.device.counters();
            counters.configuration_reads + counters.snmp_gets
        };
        let before = reads(&scene);
        let (request, progress) = (scene.request(&["antenna-faulty"]), watch::Sender::default());
        let selected = select(&mut scene.backend(via), &mut refusing(), &request, &progress).await;
        assert_eq!(selected.unwrap_err().report.kind, ErrorKind::Busy);
        assert_eq!(reads(&scene), before);
        assert!(!progress.borrow().has_written());
    }
}

#[tokio::test]
async fn what_was_written_is_neither_applied_nor_put_back_without_a_permit() {
    let mut scene = Scene::start().await;
    let (plan, permitting) = (
        scene.plan(Via::Rest, "antenna-faulty").await,
        DeviceGuard::default(),
    );
    let profile = scene.profiles.for_version(None);
    rest::write(&mut scene.client, profile, &plan, &permitting)
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = rest::apply(&mut scene.client, profile, &refusing(), deadline).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Busy);
    assert_eq!(scene.writes(), (1, 0));

    let mut scene = Scene::start().await;
    let plan = scene.plan(Via::Snmp, "antenna-faulty").await;
    snmp::write(&mut scene.manager, &plan, &permitting).await.unwrap();
    let progress = scene.progress.clone();
    let refused = snmp::apply(&mut scene.manager, &plan, &refusing(), deadline, &progress).await;
    let Failure {
        report,
        is_final,
        is_undone,
    } = refused.unwrap_err();
    assert_eq!(
        (report.kind, is_final, is_undone),
        (ErrorKind::Busy, false, false)
    );
    assert_eq!(scene.writes(), (3, 0));
    let left = snmp::undo(&mut scene.manager, &refusing(), &plan.changes, report).await;
    assert!(!left.is_undone && left.report.message.contains("could not be put back"));
    assert_eq!(scene.writes(), (3, 0));
}
