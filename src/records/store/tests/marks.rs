//! What has become of dead letters: how long a mark stays.

use super::disk::Disk;
use super::{dead_letter, on_with, options};
use crate::contract::Time;
use crate::contract::dead_letter_marks::{Handled, Marks, Replayed};
use crate::records::store::{DeadLetterSet, Options};

#[tokio::test]
async fn a_mark_stays_over_a_restart_and_goes_with_its_dead_letter() {
    let disk = Disk::default();
    let kept = Options { keep: 2, ..options() };
    let store = on_with(&disk, kept.clone());
    let records = ["a", "b", "c"].map(dead_letter);
    let ids = records.each_ref().map(|record| record.id);
    store.append(records[..2].to_vec()).await;
    let at = Time("2026-02-10T09:45:48Z".parse().unwrap());
    let handled = Handled {
        at,
        by: Some("anna".to_owned()),
    };
    let replayed = Replayed { at, ok: false };
    let found = store
        .mark_handled(vec![ids[0], ids[1], ids[2]], Some(handled.clone()))
        .await;
    assert_eq!(found, Ok(vec![ids[0], ids[1]]), "one is not there yet");
    store.mark_replayed(ids[1], replayed).await.unwrap();
    store.mark_replayed(ids[2], replayed).await.unwrap();
    drop(store);
    let store = on_with(&disk, kept);
    let marks = async || {
        let dead_letters = store.dead_letters(10).await.unwrap();
        dead_letters.into_iter().map(|one| one.marks).collect::<Vec<_>>()
    };
    let both = Marks {
        handled: Some(handled.clone()),
        replayed: Some(replayed),
    };
    let one = Marks {
        handled: Some(handled),
        replayed: None,
    };
    assert_eq!(marks().await, [both.clone(), one]);
    // The oldest makes room, and comes again.
    store.append(vec![records[2].clone()]).await;
    assert_eq!(marks().await, [Marks::default(), both]);
    store.append(vec![records[0].clone()]).await;
    assert_eq!(marks().await, [Marks::default(), Marks::default()]);
    // It is dropped, and comes again.
    let remark = async || {
        assert_eq!(
            store
                .mark_handled(vec![ids[0], ids[2]], Some(Handled { at, by: None }))
                .await
                .unwrap()
                .len(),
            2
        );
    };
    remark().await;
    store
        .drop_dead_letters(DeadLetterSet::These(vec![ids[0]]))
        .await
        .unwrap();
    store.append(vec![records[0].clone()]).await;
    assert_eq!(are_handled(&marks().await), [false, true]);
    remark().await;
    store
        .drop_dead_letters(DeadLetterSet::AllBut(vec![ids[2]]))
        .await
        .unwrap();
    store.append(vec![records[0].clone()]).await;
    assert_eq!(are_handled(&marks().await), [false, true]);
    store.mark_handled(vec![ids[2]], None).await.unwrap();
    assert_eq!(marks().await, [Marks::default(), Marks::default()]);
}

fn are_handled(marks: &[Marks]) -> Vec<bool> {
    marks.iter().map(|marks| marks.handled.is_some()).collect()
}
