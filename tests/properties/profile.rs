//! API profiles that a user has written, or broken.

use lantime2mqtt::lantime::rest::{Profile, Profiles};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::Value;

use super::any::document;
use super::config;
use super::poll::poll;

const PROFILES: [&str; 3] = [
    include_str!("../../config/profiles/api-10.toml"),
    include_str!("../../config/profiles/api-16.toml"),
    include_str!("../../config/profiles/api-20.toml"),
];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_is_a_profile_or_an_error(text in any::<String>()) {
        prop_assert!(Profile::parse(&text, "x").is_err());
    }

    #[test]
    fn a_changed_profile_is_refused_or_works(
        text in select(&PROFILES[..]),
        removed in subsequence((0..60).collect::<Vec<usize>>(), 0..2),
        replaced in vec((any::<Index>(), any::<char>()), 0..4),
        document in document(),
    ) {
        let lines = text.lines().enumerate().filter(|(number, _)| !removed.contains(number));
        let mut text: Vec<char> = lines.flat_map(|(_, line)| line.chars().chain(['\n'])).collect();
        for (place, character) in replaced {
            let place = place.index(text.len());
            text[place] = character;
        }
        let text: String = text.into_iter().collect();
        match Profile::parse(&text, "mine.toml") {
            Err(error) => prop_assert!(error.to_string().contains("mine.toml")),
            Ok(profile) => poll(document.to_string().as_bytes(), &Profiles::fixed(profile)),
        }
    }

    #[test]
    fn any_pointer_may_be_looked_up(pointer in "/[ -~]{0,20}", document in document()) {
        let quoted = Value::from(pointer).to_string();
        let text = PROFILES[0].replace("\"/relays/relay-a/state\"", &quoted);
        let profile = Profile::parse(&text, "mine.toml");
        prop_assert!(profile.is_ok(), "{:?}", profile);
        poll(document.to_string().as_bytes(), &Profiles::fixed(profile.expect("checked above")));
    }
}
