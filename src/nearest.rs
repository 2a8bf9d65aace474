//! Which known word a misspelt one was probably meant to be.

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key: String = key.chars().take(40).flat_map(char::to_lowercase).collect();
    let part = |known: &&&'a str| key.len() >= 3 && (known.starts_with(&key) || key.starts_with(**known));
    let close = known.iter().map(|known| (distance(&key, known), *known));
    let close = close.filter(|(distance, known)| *distance <= 2 && *distance < known.len().min(key.len()));
    close
        .min()
        .map(|(_, known)| known)
        .or_else(|| known.iter().find(part).copied())
}

/// How many characters to add, drop, change, or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered() {
        let known = ["url", "username", "password", "password_file", "poll"];
        assert_eq!(nearest("pol", &known), Some("poll"));
        assert_eq!(nearest("pasword", &known), Some("password"));
        assert_eq!(nearest("user", &known), Some("username"));
        assert_eq!(nearest("ulr", &["tls", "url"]), Some("url"));
        assert_eq!(nearest("URL", &known), Some("url"));
        assert_eq!(nearest("snmp", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
