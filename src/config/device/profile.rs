//! `profile` of a device: which API profile reads it.

use std::path::PathBuf;

use super::super::problem::Problem;
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

pub(super) fn read(section: &Section<'_>) -> ProfileChoice {
    let choice = section.parsed("profile", |text| match text {
        "auto" => Ok(ProfileChoice::Auto),
        name if BUILT_IN_PROFILES.contains(&name) => Ok(ProfileChoice::BuiltIn(name.to_owned())),
        path if path.ends_with(".toml") => readable(section.absolute(path)),
        _ => Err(not_a_profile()),
    });
    choice.unwrap_or(ProfileChoice::Auto)
}

fn not_a_profile() -> Problem {
    let names: Vec<_> = BUILT_IN_PROFILES.iter().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    Problem::new(
        "not a profile",
        format!(r#"write "auto", {names}, or the path of a .toml file"#),
    )
}

fn readable(path: PathBuf) -> Result<ProfileChoice, Problem> {
    std::fs::File::open(&path).map_err(|error| {
        let what = format!("cannot read {}: {error}", path.display());
        Problem::new(what, "let the user of this process read it")
    })?;
    Ok(ProfileChoice::File(path))
}
