//! Text that is not UTF-8 in a status document: each case costs at most its field.

use lantime2mqtt::lantime::rest::{Profiles, status};

/// A status document, with that as the host name, and that as an unread text of a module; `~` stands for a
/// byte of Latin-1.
fn is_read(hostname: &str, note: &str) -> bool {
    let body = format!(
        r#"{{"system-information":{{"hostname":{hostname},"model":"M500"}},"data":{{"notification":{{"events":[]}},
        "chassis0":{{"slots":[{{"slot-id":"pwr1","module":{{"info":{{"model":"psu"}},"note":{note}}}}}]}}}}}}"#
    );
    let body: Vec<u8> = body
        .bytes()
        .map(|byte| if byte == b'~' { 0xfc } else { byte })
        .collect();
    status::read(&body, &Profiles::built_in(), "http://lantime.example").is_ok()
}

#[test]
fn a_plain_document_is_read() {
    assert!(is_read("\"a\"", "\"b\""));
}

#[test]
fn latin_1_in_a_field_costs_its_field() {
    assert!(is_read("\"M~nchen\"", "\"b\""));
}

#[test]
fn latin_1_in_a_text_that_nobody_reads_costs_nothing() {
    assert!(is_read("\"a\"", "\"M~nchen\""));
}
