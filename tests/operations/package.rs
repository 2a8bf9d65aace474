//! What goes into the Debian package and the image. `deploy/debian/check` makes the package itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project;

/// What packages are made by, and what systemd has of its own in the package.
const NOT_FOR_USERS: [&str; 4] = ["container", "debian", "release", "systemd"];

#[test]
fn the_debian_package_has_all_that_is_for_its_users() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("cargo reads it too");
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array();
    let assets = assets.expect("a list").iter();
    let sources: Vec<_> = assets.map(|asset| asset[0].as_str().expect("a path")).collect();
    for entry in fs::read_dir(project("deploy")).expect("it is part of the project") {
        let folder = entry.expect("it can be read").file_name();
        let folder = folder.to_str().expect("it is a word");
        let path = format!("deploy/{folder}/");
        let is_there = sources.iter().any(|source| source.starts_with(&path));
        assert!(
            is_there || NOT_FOR_USERS.contains(&folder),
            "{path} is not among the assets of the package"
        );
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).expect("it is part of the project")
}

/// What the image's first stage copies of the project.
fn copied(containerfile: &str) -> Vec<&str> {
    let copied = containerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    let sources = copied.filter(|rest| !rest.starts_with("--from"));
    sources
        .flat_map(|rest| rest.rsplit_once(' ').expect("a source and a target").0.split(' '))
        .collect()
}

/// The files below `directory` that Rust is written in, but for those of tests.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is part of the project");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .flat_map(|path| match path.to_str() {
            _ if path.is_dir() => sources(&path),
            Some(name) if name.ends_with(".rs") && !name.ends_with("tests.rs") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

/// The files, or the folders of files, that the program of that source has in it.
fn embedded(source: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(source).expect("it is part of the project");
    let is_in_it = |mark: &str, text: &str| text.split(mark).next().unwrap_or_default().to_owned();
    let program = is_in_it("#[cfg(test)]\nmod tests {", &text);
    let program = is_in_it("#[cfg(doctest)]", &program);
    let places = ["include_str!(", "include_bytes!("].map(|name| program.split(name).skip(1));
    let names = places.into_iter().flatten();
    let names = names.map(|rest| rest.split('"').nth(1).expect("a path in quotes"));
    let folder = source.parent().expect("it is in a folder");
    let paths = names.map(|name| folder.join(name).canonicalize().expect("it is there"));
    paths.collect()
}

#[test]
fn the_image_is_made_of_all_that_the_program_has_in_it() {
    let containerfile = read("deploy/container/Containerfile");
    let real = |path: &str| project(path).canonicalize().expect("it is there");
    let copied: Vec<_> = copied(&containerfile).into_iter().map(real).collect();
    let embedded: Vec<_> = sources(&project("src"))
        .iter()
        .flat_map(|source| embedded(source))
        .collect();
    for known in ["src/web/assets", "config/profiles/api-10.toml"] {
        assert!(embedded.contains(&real(known)), "{known}: {embedded:?}");
    }
    for path in embedded {
        let is_copied = copied.iter().any(|source| path.starts_with(source));
        assert!(is_copied, "{} is not copied into the image", path.display());
    }
}

/// That of these alone, every file is there that the manifest names; `build.rs` is also looked for without that.
fn cargo_takes(sources: &[&str]) {
    let folder = tempfile::tempdir().expect("there is room");
    let copied = Command::new("cp")
        .arg("-r")
        .args(sources.iter().map(|source| project(source)))
        .arg(folder.path())
        .status();
    assert!(copied.expect("cp is there").success());
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(folder.path())
        .output()
        .expect("cargo is there");
    let said = String::from_utf8_lossy(&metadata.stderr);
    assert!(metadata.status.success(), "{sources:?}: {said}");
    assert!(sources.contains(&"build.rs"), "{sources:?}");
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let text = read("deploy/container/Containerfile");
    let sources = copied(&text);
    assert!(
        sources.contains(&"src") && sources.contains(&"Cargo.lock"),
        "{sources:?}"
    );
    for source in &sources {
        assert!(project(source).exists(), "{source} is copied, and not there");
    }
    cargo_takes(&sources);
    // So does the script that packs them for a release.
    let release = read("deploy/release/build");
    let packed = sources.join(" ");
    assert!(release.contains(&format!("cp -r {packed} ")), "{packed}");
    let toolchain = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text.contains(&toolchain), "it is built with {toolchain}");
}
