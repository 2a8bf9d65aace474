//! Which known key a misspelt one was probably meant to be.

/// The known key that was probably meant.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let key: String = key.chars().take(40).flat_map(char::to_lowercase).collect();
    let part = |known: &&&str| key.len() >= 3 && (known.starts_with(&key) || key.starts_with(**known));
    let close = known.iter().map(|known| (distance(&key, known), *known));
    let close = close.filter(|(distance, known)| *distance <= 2 && *distance < known.len().min(key.len()));
    close
        .min()
        .map(|(_, known)| known)
        .or_else(|| known.iter().find(part).copied())
}

/// Levenshtein's distance: how many characters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_offered() {
        let known = ["url", "username", "password", "password_file", "poll"];
        assert_eq!(nearest("pol", &known), Some("poll"));
        assert_eq!(nearest("pasword", &known), Some("password"));
        assert_eq!(nearest("user", &known), Some("username"));
        assert_eq!(nearest("URL", &known), Some("url"));
        assert_eq!(nearest("snmp", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
