//! A bridge is killed while a device takes its time to apply what it wrote: the next owner writes there once that has ended, by
//! the lease of the mark, and then carries out the command, however long it has waited.

use lantime2mqtt::simulator::Fault;

use crate::history::History;
use crate::operator::Scene;
use crate::support::wait;

/// The owner is killed in the middle of a command to apply; another one owns its device.
async fn killed_while_it_applies(scene: &mut Scene, fault: Fault) {
    let owner = scene.cluster.owner();
    scene.device(0).set_fault(Some(fault));
    scene.select(0, 0).await;
    wait::until("it is being applied", async || {
        let counters = scene.device(0).counters();
        let writers = History::of(&scene.cluster.etcd).await.writers();
        // Over REST it hangs: the second mark is that of the command to apply.
        let is_applying = counters.configuration_writes == 1 && writers["sim-1"].len() == 2;
        counters.snmp_executes == 1 || is_applying
    })
    .await;
    scene.cluster.members[owner].stop("KILL").await;
    scene.cluster.taken_over_from(owner).await;
    scene.device(0).set_fault(None);
}

#[tokio::test]
async fn a_command_waits_for_the_write_of_an_earlier_owner_and_is_carried_out_then() {
    let mut scene = Scene::of(2, 1, |site| site).await.started().await;
    killed_while_it_applies(&mut scene, Fault::HangOnApply).await;
    scene.select(0, 1).await;
    scene.all_answered().await;
    scene.assert_all_is_well().await;
}

#[cfg(feature = "stress")]
#[tokio::test]
async fn over_snmp_it_waits_for_two_minutes() {
    use std::time::Duration;

    let scene = Scene::of(2, 1, |site| site).await.over_snmp();
    let mut scene = scene.started().await;
    let by = Duration::from_secs(3600);
    killed_while_it_applies(&mut scene, Fault::LateApply { by }).await;
    scene.all_answered_within(Duration::from_secs(180)).await;
    assert_eq!(scene.device(0).counters().snmp_executes, 2);
    let replies = scene.replies();
    assert_eq!(replies["command-0"][0]["ok"], true, "{replies:?}");
}
