use super::*;

const READ: Subject<'_> = Subject {
    endpoint: "http://e:2379",
    request: "read",
    is_write: false,
    is_secret: false,
    is_shown_certificate: false,
};
const WRITE: Subject<'_> = Subject {
    request: "transaction",
    is_write: true,
    ..READ
};

fn refused(subject: &Subject<'_>, code: u16, message: &str) -> Error {
    let message = message.to_owned();
    subject.refused(&Refusal { code, message })
}

#[test]
fn every_refusal_has_its_kind_and_says_whether_a_write_may_have_been_carried_out() {
    for (code, message, kind, is_unknown) in [
        (2, "raft proposal dropped", "unavailable", false),
        (2, "something else", "rejected", true),
        (3, "etcdserver: user name is empty", "authentication", false),
        (
            3,
            "etcdserver: authentication failed, invalid user ID or password",
            "authentication",
            false,
        ),
        (
            3,
            "etcdserver: revision of auth store is old",
            "authentication",
            false,
        ),
        (
            3,
            "etcdserver: duplicate key given in txn request",
            "rejected",
            false,
        ),
        (4, "context deadline exceeded", "unavailable", true),
        (
            5,
            "etcdserver: requested lease not found",
            "lease-not-found",
            false,
        ),
        (7, "etcdserver: permission denied", "permission-denied", false),
        (8, "etcdserver: mvcc: database space exceeded", "no-space", false),
        (8, "etcdserver: too many requests", "unavailable", false),
        (
            9,
            "etcdserver: authentication is not enabled",
            "authentication",
            false,
        ),
        (
            11,
            "etcdserver: mvcc: required revision has been compacted",
            "compacted",
            false,
        ),
        (
            11,
            "etcdserver: mvcc: required revision is a future revision",
            "rejected",
            false,
        ),
        (13, "internal", "rejected", true),
        (14, "etcdserver: request timed out", "unavailable", true),
        (14, "etcdserver: leader changed", "unavailable", true),
        (14, "write: broken pipe", "unavailable", true),
        (16, "etcdserver: invalid auth token", "authentication", false),
        (99, "of a later version", "rejected", true),
    ] {
        let error = refused(&WRITE, code, message);
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (kind, is_unknown),
            "{error}"
        );
        assert!(!refused(&READ, code, message).is_outcome_unknown());
    }
}

#[test]
fn the_reason_that_ends_a_watch_is_a_refusal() {
    let reason = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    let refusal = Refusal::of_reason(reason);
    assert_eq!(READ.refused(&refusal).kind(), "permission-denied");
    let error = READ.refused(&Refusal::of_reason("mvcc: victim overflow"));
    assert_eq!(
        error.cause(),
        &Cause::Rejected("\"mvcc: victim overflow\"".to_owned())
    );
}

#[test]
fn an_error_has_the_node_the_request_the_cause_and_the_remedy() {
    let error = refused(&WRITE, 14, "etcdserver: request timed out");
    assert_eq!(
        error.to_string(),
        "etcd http://e:2379: transaction: the node cannot serve requests (\"request timed out\"); check that a majority of \
         etcd's nodes run and reach one another: etcdctl endpoint status --cluster -w table; etcd may have carried it out all \
         the same"
    );
    let error = refused(&WRITE, 8, "etcdserver: mvcc: database space exceeded").to_string();
    assert!(
        error.contains("the database is full; compact and defragment it"),
        "{error}"
    );
}

#[test]
fn a_status_without_a_refusal_is_no_answer_of_etcd() {
    for (status, body, kind, is_unknown) in [
        (404, "Not Found", "bad-answer", false),
        (302, "", "bad-answer", false),
        (500, "oops", "bad-answer", true),
        (502, "<html>Bad Gateway</html>", "unavailable", true),
        (
            503,
            r#"{"error":{"grpc_code":14,"message":"no leader"}}"#,
            "unavailable",
            true,
        ),
        (
            401,
            r#"{"code":16,"message":"etcdserver: invalid auth token","details":[]}"#,
            "authentication",
            false,
        ),
    ] {
        let error = WRITE.status(status, body.as_bytes());
        assert_eq!(
            (error.kind(), error.is_outcome_unknown()),
            (kind, is_unknown),
            "{error}"
        );
    }
}

#[test]
fn kinds_are_stable() {
    let explanation = Explanation {
        cause: String::new(),
        remedy: String::new(),
    };
    let kinds = [
        Cause::Unreachable(String::new()),
        Cause::NoMoreFiles(String::new()),
        Cause::Timeout(Duration::ZERO),
        Cause::Unavailable(String::new()),
        Cause::Gateway(String::new()),
        Cause::Authentication(String::new()),
        Cause::PermissionDenied,
        Cause::NoSpace,
        Cause::Compacted { oldest: None },
        Cause::LeaseNotFound,
        Cause::Tls(explanation),
        Cause::BadAnswer(String::new()),
        Cause::Rejected(String::new()),
    ]
    .map(|cause| cause.kind());
    assert_eq!(
        kinds,
        [
            "unreachable",
            "unreachable",
            "timeout",
            "unavailable",
            "unavailable",
            "authentication",
            "permission-denied",
            "no-space",
            "compacted",
            "lease-not-found",
            "tls",
            "bad-answer",
            "rejected"
        ]
    );
}
