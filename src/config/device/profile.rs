//! `profile` of a device: which API profile reads it.

use std::path::{Path, PathBuf};

use super::super::problem::{Complaint, complaint};
use super::super::section::Section;

/// Names of the API profiles that the program brings along.
pub const BUILT_IN_PROFILES: [&str; 3] = ["api-10", "api-16", "api-20"];

/// Which API profile reads a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileChoice {
    /// By the API version that the device reports.
    Auto,
    /// A built-in one, by name.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
}

pub(super) fn read(section: &mut Section<'_>) -> ProfileChoice {
    let Some(text) = section.text("profile").filter(|text| text != "auto") else {
        return ProfileChoice::Auto;
    };
    if BUILT_IN_PROFILES.contains(&text.as_str()) {
        return ProfileChoice::BuiltIn(text);
    }
    let path = section
        .path("profile")
        .filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let checked = path
        .ok_or_else(not_a_profile)
        .and_then(|path| readable(&path).map(|()| path));
    checked.map(ProfileChoice::File).unwrap_or_else(|complaint| {
        section.refuse("profile", complaint);
        ProfileChoice::Auto
    })
}

fn not_a_profile() -> Complaint {
    let names: Vec<_> = BUILT_IN_PROFILES.iter().map(|name| format!("{name:?}")).collect();
    let remedy = format!(
        r#"write "auto", {}, or the path of a .toml file"#,
        names.join(", ")
    );
    complaint("not a profile", remedy)
}

fn readable(path: &Path) -> Result<(), Complaint> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            Err(complaint(what, "let the user of this process read it"))
        }
    }
}
