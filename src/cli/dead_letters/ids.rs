//! Ids of dead letters as a person writes them: whole, or the beginning or the end of one. Pure.

use std::str::FromStr;

use anyhow::anyhow;
use uuid::Uuid;

/// Fewest characters of an id.
const SHORTEST: usize = 4;
/// Candidates that are listed; more are counted.
const LISTED: usize = 10;

/// An id, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShortId(String);

impl FromStr for ShortId {
    type Err = String;

    fn from_str(text: &str) -> Result<ShortId, String> {
        let id = text.trim().to_ascii_lowercase();
        let is_part = id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_part && (SHORTEST..=36).contains(&id.len()) {
            return Ok(ShortId(id));
        }
        Err(format!(
            "write the id, or at least {SHORTEST} characters of its beginning or its end"
        ))
    }
}

impl ShortId {
    /// The id, if all of it is there.
    pub(super) fn whole(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok()
    }

    /// The one of these that is meant.
    ///
    /// # Errors
    /// When that is none, or more than one.
    pub(super) fn among(&self, known: &[Uuid]) -> anyhow::Result<Uuid> {
        if let Some(id) = self.whole() {
            return Ok(id);
        }
        let is_meant = |id: &&Uuid| {
            let id = id.to_string();
            id.starts_with(&self.0) || id.ends_with(&self.0)
        };
        let mut found: Vec<_> = known.iter().filter(is_meant).collect();
        found.sort();
        match found.as_slice() {
            [id] => Ok(**id),
            [] => Err(anyhow!(
                "no dead letter in the archive has an id that begins or ends with {:?}; lantime2mqtt dead-letters list shows those that are there",
                self.0
            )),
            many => Err(anyhow!(
                "{:?} is the beginning or end of {} ids; write more of the one that you mean: {}",
                self.0,
                many.len(),
                listed(many)
            )),
        }
    }
}

fn listed(ids: &[&Uuid]) -> String {
    let shown: Vec<_> = ids.iter().take(LISTED).map(|id| id.to_string()).collect();
    match ids.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str) -> ShortId {
        text.parse().unwrap()
    }

    #[test]
    fn a_part_of_an_id_is_enough_if_it_is_of_one() {
        let ids = [
            "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a01",
            "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4b02",
        ];
        let known = ids.map(|id| Uuid::try_parse(id).unwrap());
        for part in ["4A01", "2b4a01", ids[0], "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a"] {
            assert_eq!(short(part).among(&known).unwrap(), known[0], "{part}");
        }
        let error = short("0198").among(&known).unwrap_err().to_string();
        for part in ["\"0198\"", "2 ids", ids[0], ids[1]] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = short("ffff").among(&known).unwrap_err().to_string();
        assert!(
            error.contains("\"ffff\"") && error.contains("dead-letters list"),
            "{error}"
        );
        let unknown = Uuid::from_u128(7);
        assert_eq!(
            short(&unknown.to_string()).among(&known).unwrap(),
            unknown,
            "a whole one is asked for"
        );
    }

    #[test]
    fn too_little_of_an_id_and_other_words_are_refused() {
        for wrong in ["", "019", "last", "0198c5f2-7d7c-7b43-9f0e-3a1d0c2b4a011"] {
            assert!(wrong.parse::<ShortId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn many_candidates_are_counted() {
        let known: Vec<_> = (0..25).map(Uuid::from_u128).collect();
        let error = short("0000").among(&known).unwrap_err().to_string();
        assert!(
            error.contains("25 ids") && error.ends_with("and 15 more"),
            "{error}"
        );
    }
}
