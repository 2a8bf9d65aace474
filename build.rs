//! Of which commit a release is. A debug build does not say: each commit would have it built again.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if is_release { commit() } else { None };
    let suffix = commit.map_or(String::new(), |commit| format!(" ({commit})"));
    println!("cargo::rustc-env=BUILD_OF={suffix}");
}

/// Its hash, marked where files differ from it, and its date. `None` where this is no clone: a folder of a tarball,
/// perhaps in somebody else's repository.
fn commit() -> Option<String> {
    let moved = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    for path in [&moved, "src", "config", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let hash = git(&["describe", "--always", "--dirty", "--exclude=*"])?;
    let date = git(&["show", "--no-patch", "--format=%cs"])?;
    Some(format!("{hash} {date}"))
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    let output = git.arg("--git-dir=.git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
