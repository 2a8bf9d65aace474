//! The string of actions that an event takes, as the vendor's MIB writes it: words with commas between them, such as
//! `snmp,email`. One word is put in or taken out; all that is not that word stays as it is written. Pure.

use std::collections::BTreeSet;

/// The word of all relays: over SNMP they cannot be told apart.
pub const RELAY: &str = "relais";
/// What the MIB has where there is no action.
const NONE: &str = "n/a";

/// Whether the string has that word. Blanks around a word and its case do not count.
pub fn has(actions: &str, word: &str) -> bool {
    words(actions).any(|action| is_same_word(action, word))
}

/// The string with that word where it was without, and without it where it had it, however often.
pub fn toggled(actions: &str, word: &str) -> String {
    if has(actions, word) {
        let others = actions
            .split(',')
            .filter(|action| !is_same_word(action.trim(), word));
        return others.collect::<Vec<_>>().join(",");
    }
    match actions {
        none if words(none).next().is_none() => word.to_owned(),
        open if open.trim_end().ends_with(',') => format!("{open}{word}"),
        others => format!("{others},{word}"),
    }
}

/// Whether both mean the same: a device may put words in an order of its own, and write no action as it likes.
pub fn is_same(one: &str, other: &str) -> bool {
    let set = |actions| {
        words(actions)
            .map(str::to_ascii_lowercase)
            .collect::<BTreeSet<_>>()
    };
    set(one) == set(other)
}

/// The words; none for an empty string and for `n/a`.
fn words(actions: &str) -> impl Iterator<Item = &str> {
    let is_word = |action: &&str| !action.is_empty() && !is_same_word(action, NONE);
    actions.split(',').map(str::trim).filter(is_word)
}

fn is_same_word(action: &str, word: &str) -> bool {
    action.eq_ignore_ascii_case(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_relays_word_comes_and_goes() {
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
        let kept = |action: &&str| words(action).next().is_some() && !has(action, RELAY);
        actions.split(',').filter(kept).collect()
    }

    proptest! {
        #[test]
        fn other_words_survive(actions in "([ ]{0,2}([Rr]elais|email|led|n/a|[a-zA-Z0-9ä-]{0,6})[ ]{0,2},?){0,8}") {
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
