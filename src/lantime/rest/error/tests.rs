//! What a person reads of errors that would mislead if they were all alike.

use super::*;
use crate::lantime::rest::{Profiles, status};

const URL: &str = "http://10.0.0.7/api/status";

fn redirect(location: &str) -> ErrorReport {
    RestError::status(Operation::Poll, 302, URL, Some(location), location.as_bytes()).report
}

#[test]
fn a_redirect_says_where_it_points_and_what_to_do() {
    let long = format!("http://10.0.0.7/{}", "x".repeat(1000));
    let cases = [
        (
            "https://10.0.0.7/api/status",
            "https://10.0.0.7/api/status",
            "set its url to \"https://10.0.0.7\"",
        ),
        (
            "https://10.0.0.7:8443/",
            "https://10.0.0.7:8443/",
            "set its url to \"https://10.0.0.7:8443\"",
        ),
        (
            "http://other.example/x",
            "http://other.example/x",
            "if that is the device",
        ),
        (
            "/login.php?from=/api&sid=secret-sid#secret-part",
            "http://10.0.0.7/login.php",
            "login page",
        ),
        (
            "http://root:secret@10.0.0.7/a",
            "http://10.0.0.7/a",
            "Enable REST API",
        ),
        (
            "/a;jsessionid=secret-sid/login.php;v=secret?x=secret",
            "http://10.0.0.7/a/login.php\"",
            "login page",
        ),
        (
            "http://root:secret@[broken?sid=secret",
            "something that is no address",
            "url",
        ),
        (
            "mailto:secret@other.example",
            "something that is no address",
            "url",
        ),
        (&long, "http://10.0.0.7/xxx", "login page"),
    ];
    for (location, message, remedy) in cases {
        let report = redirect(location);
        assert_eq!(
            (report.kind, report.http_status),
            (ErrorKind::HttpStatus, Some(302))
        );
        let text = format!("{} {}", report.message, report.remedy);
        assert_eq!(report.body, None);
        assert!(text.contains(message) && text.contains(remedy), "{report:?}");
        assert!(!text.contains("secret") && text.len() < 600, "{report:?}");
        assert!(report.remedy.contains("not followed"), "{report:?}");
    }
}

#[test]
fn an_answer_that_is_no_json_says_what_it_is() {
    let cases: [(&[u8], &str, &str); 8] = [
        (
            b"\n<!DOCTYPE html><html><head><TITLE>LANTIME Login</TITLE></head>",
            "web page (HTML) and no JSON, with the title \"LANTIME Login\"",
            "Enable REST API",
        ),
        (b"\xef\xbb\xbf<html>\xff<title>", "web page", "Enable REST API"),
        (b"\x1f\x8b\x08\x00\x00\x00", "gzip", "switch off compression"),
        (b"\xff\xfe{\x00}\x00", "UTF-16", "firmware version"),
        (b"\x00{\x00}", "UTF-16", "firmware version"),
        (b"", "empty", "web service"),
        (b"{\"system-information\": {\"ver", "ends early", "Content-Length"),
        (b"{\"a\" \"b\"}", "JSON", "firmware version"),
    ];
    for (body, message, remedy) in cases {
        let reason = status::snapshot(body, &Profiles::built_in(), URL).unwrap_err();
        let report = RestError::not_status(URL, &reason, body, false).report;
        assert_eq!(report.kind, ErrorKind::Decode);
        assert!(
            report.message.contains(message) && report.remedy.contains(remedy),
            "{report:?}"
        );
    }
}
