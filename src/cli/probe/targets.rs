//! Which devices are asked: URLs, and the lines of a file.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// A device of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Target {
    pub(in crate::cli) url: String,
    /// What people call it.
    pub(in crate::cli) label: Option<String>,
}

impl Target {
    /// That URL, or the host with https.
    pub(in crate::cli) fn new(url: &str) -> Target {
        let url = match url.contains("://") {
            true => url.to_owned(),
            false => format!("https://{url}"),
        };
        Target { url, label: None }
    }
}

/// The devices of a file: a line has a URL or host, perhaps with a label behind it; `#` begins a comment.
///
/// # Errors
/// When it cannot be read, or has no device.
pub(in crate::cli) fn read(file: &Path) -> anyhow::Result<Vec<Target>> {
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read the list of devices {}", file.display()))?;
    let targets = parse(&text);
    if targets.is_empty() {
        bail!(
            "{} has no device; write a URL or host in each line",
            file.display()
        );
    }
    Ok(targets)
}

fn parse(text: &str) -> Vec<Target> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    lines.filter_map(target).collect()
}

fn target(line: &str) -> Option<Target> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    // A comment behind something has a blank before it: a URL may have a `#`, too.
    let line = line.split(" #").next().unwrap_or_default();
    let (url, label) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let label = Some(label.trim()).filter(|label| !label.is_empty());
    (!url.is_empty()).then(|| Target {
        label: label.map(str::to_owned),
        ..Target::new(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_url_or_a_host_and_perhaps_a_label() {
        let text = "\u{feff}# hall 1\n\nhttp://10.0.0.7:8080\n  10.0.0.8\tRack 3, top \r\nclock.example  # spare\n\
                    clock2.example Rack #4\n[fd00::1]:8443 # v6\n";
        let found = parse(text);
        let found: Vec<_> = found
            .iter()
            .map(|target| (target.url.as_str(), target.label.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("http://10.0.0.7:8080", None),
                ("https://10.0.0.8", Some("Rack 3, top")),
                ("https://clock.example", None),
                ("https://clock2.example", Some("Rack")),
                ("https://[fd00::1]:8443", None),
            ]
        );
    }
}
