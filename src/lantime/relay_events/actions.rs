//! The actions that an event takes, each a word such as `snmp`. One word is put in or taken out; all others stay as they
//! are written. Pure.

use std::collections::BTreeSet;

/// What the vendor's MIB has where there is no action.
const NONE: &str = "n/a";

/// Whether that word is among them. Blanks around a word and its case do not count.
pub(super) fn has(actions: &[String], word: &str) -> bool {
    actions.iter().any(|action| is_same_word(action, word))
}

/// With that word where it was without, and without it where it had it, however often.
pub(super) fn toggled(actions: &[String], word: &str) -> Vec<String> {
    let mut actions = actions.to_vec();
    if has(&actions, word) {
        actions.retain(|action| !is_same_word(action, word));
    } else {
        actions.retain(|action| is_word(action));
        actions.push(word.to_owned());
    }
    actions
}

/// Whether both mean the same: a device may put words in an order of its own, and write no action as it likes.
pub(super) fn is_same(one: &[String], other: &[String]) -> bool {
    let set = |actions: &[String]| {
        let words = actions.iter().filter(|action| is_word(action));
        words
            .map(|action| action.trim().to_ascii_lowercase())
            .collect::<BTreeSet<_>>()
    };
    set(one) == set(other)
}

/// Neither blank nor `n/a`.
fn is_word(action: &str) -> bool {
    !action.trim().is_empty() && !is_same_word(action, NONE)
}

fn is_same_word(action: &str, word: &str) -> bool {
    action.trim().eq_ignore_ascii_case(word.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RELAY: &str = "relais";

    fn list(actions: &str) -> Vec<String> {
        actions.split(',').map(str::to_owned).collect()
    }

    fn toggled(actions: &str, word: &str) -> String {
        super::toggled(&list(actions), word).join(",")
    }

    fn has(actions: &str, word: &str) -> bool {
        super::has(&list(actions), word)
    }

    fn is_same(one: &str, other: &str) -> bool {
        super::is_same(&list(one), &list(other))
    }

    #[test]
    fn the_relays_action_comes_and_goes() {
        for (without, with) in [
            ("", "relais"),
            ("snmp,email", "snmp,email,relais"),
            (" Email , siren", " Email , siren,relais"),
            ("snmp,", "snmp,relais"),
        ] {
            assert!(!has(without, RELAY) && has(with, RELAY), "{with:?}");
            assert_eq!(toggled(without, RELAY), with);
            assert!(is_same(&toggled(with, RELAY), without), "{with:?}");
        }
        assert_eq!(toggled("n/a", RELAY), "relais");
        assert_eq!(toggled("N/A ", RELAY), "relais");
        assert_eq!(toggled("snmp, Relais ,email,relais", RELAY), "snmp,email");
        assert!(!has("relaises,no relais", RELAY), "these are other words");
    }

    #[test]
    fn order_blanks_case_and_the_way_to_write_none_make_no_difference() {
        assert!(is_same("snmp,email", "Email, snmp"));
        assert!(is_same("", "n/a") && is_same("n/a", " , "));
        assert!(!is_same("snmp", "snmp,email"));
    }

    /// All that is not the word, as it is written.
    fn others(actions: &str) -> Vec<&str> {
        let kept = |action: &&str| is_word(action) && !has(action, RELAY);
        actions.split(',').filter(kept).collect()
    }

    proptest! {
        #[test]
        fn other_actions_survive(actions in "([ ]{0,2}([Rr]elais|email|led|n/a|[a-zA-Z0-9ä-]{0,6})[ ]{0,2},?){0,8}") {
            let once = toggled(&actions, RELAY);
            prop_assert_ne!(has(&actions, RELAY), has(&once, RELAY));
            prop_assert_eq!(others(&actions), others(&once));
            let twice = toggled(&once, RELAY);
            prop_assert!(is_same(&actions, &twice), "{:?} {:?}", once, twice);
            prop_assert_eq!(others(&actions), others(&twice));
        }

        #[test]
        fn nothing_panics(one in ".*", other in ".*") {
            is_same(&toggled(&one, &other), &other);
        }
    }
}
