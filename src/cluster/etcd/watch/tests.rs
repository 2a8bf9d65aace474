use proptest::prelude::*;

use super::*;

const SUBJECT: Subject<'_> = Subject {
    endpoint: "http://e:2379",
    request: "watch",
    is_write: false,
    is_secret: false,
    is_shown_certificate: false,
};

/// The lines of what comes in these pieces.
fn lines(pieces: &[&[u8]]) -> Vec<Bytes> {
    let (mut buffer, mut searched) = (BytesMut::new(), 0);
    let mut lines = Vec::new();
    for piece in pieces {
        append(&mut buffer, Ok(Some(Bytes::copy_from_slice(piece))), &SUBJECT).unwrap();
        while let Some(line) = take_line(&mut buffer, &mut searched) {
            lines.push(line);
        }
    }
    lines
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let (mut buffer, half) = (BytesMut::new(), Bytes::from(vec![b' '; MAX_ANSWER / 2]));
    for _ in 0..2 {
        append(&mut buffer, Ok(Some(half.clone())), &SUBJECT).unwrap();
    }
    let error = append(&mut buffer, Ok(Some(half)), &SUBJECT).unwrap_err();
    assert_eq!(error.kind(), "bad-answer");
}

#[test]
fn the_end_of_the_answer_says_why_if_it_says_something() {
    let end = |left: &str| append(&mut BytesMut::from(left), Ok(None), &SUBJECT).unwrap_err();
    assert_eq!(end("\n").kind(), "unreachable");
    assert_eq!(
        end(r#"{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}"#).kind(),
        "unavailable"
    );
    assert_eq!(end(r#"{"result":{"#).kind(), "bad-answer");
}

#[test]
fn a_watch_that_etcd_ends_is_an_error() {
    for (line, kind) in [
        (
            r#"{"result":{"canceled":true,"compact_revision":"3"}}"#,
            "compacted",
        ),
        (r#"{"result":{"canceled":true}}"#, "unavailable"),
        (
            r#"{"result":{"canceled":true,"cancel_reason":"mvcc: whatever"}}"#,
            "rejected",
        ),
        (r#"{"result":{"events":[{"type":"MERGE"}]}}"#, "bad-answer"),
        ("{}", "bad-answer"),
        ("<html>", "bad-answer"),
    ] {
        assert_eq!(
            answer(line.as_bytes(), &SUBJECT).unwrap_err().kind(),
            kind,
            "{line}"
        );
    }
}

#[test]
fn events_are_puts_and_deletions() {
    let line = r#"{"result":{"events":[{"kv":{"key":"YQ==","mod_revision":"2"}},
        {"type":"DELETE","kv":{"key":"YQ==","mod_revision":"3"}}]}}"#;
    let events = answer(line.as_bytes(), &SUBJECT).unwrap().events;
    let changes: Vec<_> = events.into_iter().map(Change::of).collect();
    assert!(matches!(changes[0], Change::Put(_)) && matches!(changes[1], Change::Delete { .. }));
    assert_eq!(changes.iter().map(Change::revision).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(changes[1].key(), b"a");
}

proptest! {
    #[test]
    fn lines_are_the_same_however_they_come(text in "[ab\n ]{0,40}", cuts: Vec<prop::sample::Index>) {
        let bytes = format!("{text}\n").into_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let whole: Vec<_> = text.split_inclusive('\n').filter(|line| !line.trim_ascii().is_empty()).collect();
        let found = lines(&pieces);
        let found: Vec<_> = found.iter().map(|line| std::str::from_utf8(line).unwrap().trim_end_matches('\n')).collect();
        let whole: Vec<_> = whole.iter().map(|line| line.trim_end_matches('\n')).collect();
        prop_assert_eq!(found, whole);
    }
}
