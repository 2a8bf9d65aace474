//! The layers of `src/`: what a folder may use. Arrows run down, from those that know much to those that know little;
//! so there is no circle, and a folder can be understood without those above it.
//!
//! Nor do files form a circle. An arrow runs from a file to each file that defines what it names (`crate::..`,
//! `super::..`, `self::..`, `child::..`); names that a module only passes on are followed to where they are defined. A
//! module and those below it are no circle: a child uses what its parent defines, and the parent puts its children together.
//! Tests do not count, and what a macro or a method call reaches is not seen.

// Helpers beside the test, too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom: each folder (or file) uses only those of lines below its own.
const LAYERS: [&[&str]; 14] = [
    &["main", "lib"],
    &["cli"],
    &["app"],
    &["web", "snmp_agent", "homeassistant", "sparkplug"],
    &["mqtt"],
    &["command"],
    &["lantime"],
    &["cluster"],
    &["hub", "records", "logging", "snmp"],
    &["config", "history", "simulator"],
    &["contract", "tls", "incidents"],
    &["model"],
    &["boot_time", "fault_point", "http_failure", "net", "open_files"],
    &["wording"],
];

/// The names of a path: `["mqtt", "link"]`.
type Names = Vec<String>;

/// Every module that has a file, and the code of that, without tests and comments.
type Modules = BTreeMap<Names, String>;

#[test]
fn every_folder_uses_only_those_below_it() {
    let layer = |folder: &String| {
        let layer = LAYERS.iter().position(|layer| layer.contains(&folder.as_str()));
        layer.unwrap_or_else(|| panic!("{folder} is in no layer: put it into tests/layers.rs"))
    };
    let modules = modules();
    let mut uses = BTreeSet::new();
    for (module, code) in &modules {
        let from = module.first().map_or("lib", String::as_str).to_owned();
        let named = imports(code).into_iter().chain(inline_paths(code));
        let absolute = named.filter_map(|path| absolute(&modules, module, &path));
        let folders = absolute.filter_map(|path| path.first().cloned());
        // Names of macros and items of the root are no folders.
        let folders = folders.filter(|to| *to != from && modules.contains_key(&vec![to.clone()]));
        uses.extend(folders.map(|to| (from.clone(), to)));
    }
    let up: Vec<_> = uses
        .iter()
        .filter(|(from, to)| layer(to) <= layer(from))
        .collect();
    assert!(up.is_empty(), "arrows that do not run down: {up:?}");
    assert!(uses.len() > 40, "the sources were read: {uses:?}");
}

#[test]
fn files_form_no_circle() {
    let arrows = arrows(&modules());
    assert!(arrows.len() > 800, "the sources were read: {}", arrows.len());
    assert_eq!(circles(arrows), BTreeSet::new());
}

#[test]
fn a_circle_is_found() {
    let code = |name: &str, code: &str| (name.split("::").map(str::to_owned).collect(), code.to_owned());
    let mut modules = Modules::from([
        code("a", "mod x;\nmod y;\npub use x::{X, Z};\npub struct A;"),
        code("a::x", "use super::A;\nuse crate::b::{c::{self, C}, d::D};"),
        code("a::y", "use super::X;"),
        code("b", "pub mod c;\npub mod d;"),
        code("b::c", "pub struct C;"),
        code("b::d", "fn f() { crate::a::g() }"),
    ]);
    assert_eq!(circles(arrows(&modules)), BTreeSet::new());
    modules.extend([code("b::c", "fn f(a: super::super::a::Z) {}")]);
    let circle = [("a::x", "b::c"), ("b::c", "a::x")];
    assert_eq!(
        circles(arrows(&modules)),
        circle.map(|(from, to)| (from.to_owned(), to.to_owned())).into()
    );
}

/// Which module's file uses which other one's, but for those above and below itself.
fn arrows(modules: &Modules) -> BTreeSet<(String, String)> {
    let mut arrows = BTreeSet::new();
    for (module, code) in modules {
        for path in imports(code).into_iter().chain(inline_paths(code)) {
            let Some(path) = absolute(modules, module, &path) else {
                continue;
            };
            let to = defining(modules, path, 0);
            if modules.contains_key(&to) && !to.starts_with(module) && !module.starts_with(&to) {
                arrows.insert((module.join("::"), to.join("::")));
            }
        }
    }
    arrows
}

/// The arrows from whose end a way leads back to their beginning.
fn circles(arrows: BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in &arrows {
        ends.entry(from).or_default().push(to);
    }
    let leads_back = |(from, to): &&(String, String)| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![to.as_str()]);
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(ends.get(module).into_iter().flatten());
            }
        }
        reached.contains(from.as_str())
    };
    arrows.iter().filter(leads_back).cloned().collect()
}

/// The module that defines what `path` names.
fn defining(modules: &Modules, path: Names, followed: usize) -> Names {
    let is_module = |length: &usize| modules.contains_key(&path[..*length]);
    let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
    let module = path[..length].to_vec();
    let passed_on = path.get(length).and_then(|name| {
        let mut imports = imports(modules.get(&module)?).into_iter();
        let import = imports.find(|import| import.last() == Some(name))?;
        absolute(modules, &module, &import)
    });
    match passed_on {
        // Imports that follow one another are few, unless two modules pass on what neither has.
        Some(path) if followed < 8 => defining(modules, path, followed + 1),
        _ => module,
    }
}

/// The path from the crate's root; `None` for one that leads out of the crate.
fn absolute(modules: &Modules, module: &[String], path: &[String]) -> Option<Names> {
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => {
            let ups = path.iter().take_while(|name| *name == "super").count();
            let (base, _) = module.split_at(module.len().saturating_sub(ups));
            Some([base, &path[ups..]].concat())
        }
        _ => {
            let path = [module, path].concat();
            modules.contains_key(&path[..=module.len()]).then_some(path)
        }
    }
}

/// What the `use` declarations of a file name.
fn imports(code: &str) -> Vec<Names> {
    let declarations = code.split(';').filter_map(|statement| {
        let (before, path) = statement.rsplit_once("use ")?;
        let visibility = before.lines().last().unwrap_or_default().trim();
        (visibility.is_empty() || visibility.starts_with("pub")).then_some(path)
    });
    declarations.flat_map(expand).collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(path: &str) -> Vec<Names> {
    let Some((prefix, list)) = path.split_once('{') else {
        let path = path.split(" as ").next().unwrap_or_default();
        let names = path.split("::").map(|name| name.trim().to_owned());
        return vec![names.filter(|name| name != "self").collect()];
    };
    let mut depth = 0;
    let items = list.split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0 || depth < 0
    });
    let prefix: Names = prefix.trim().split("::").map(str::to_owned).collect();
    let prefix = &prefix[..prefix.len() - 1];
    let items = items.map(str::trim).filter(|item| !item.is_empty());
    items
        .flat_map(expand)
        .map(|item| [prefix, &item].concat())
        .collect()
}

/// The paths that code names without importing them: `crate::mqtt::link()`, `super::Link`.
fn inline_paths(code: &str) -> Vec<Names> {
    let is_path = |character: char| character.is_ascii_alphanumeric() || "_:".contains(character);
    let words = code.split(|character| !is_path(character));
    let paths = words.filter(|word| ["crate::", "super::"].iter().any(|root| word.starts_with(root)));
    // What ends so is the beginning of a list or of a glob.
    let whole = paths.filter(|path| !path.ends_with("::"));
    whole
        .map(|path| path.split("::").map(str::to_owned).collect())
        .collect()
}

fn modules() -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |file: PathBuf| {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let names = path.iter().map(|name| name.to_str().unwrap().to_owned());
        let names = names.filter(|name| name != "mod" && name != "lib").collect();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let lines: Vec<_> = code.lines().filter(is_code).collect();
        (names, lines.join("\n"))
    };
    sources(&root).into_iter().map(module).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    // Of the path only what lies below `src`: the checkout may lie in a folder of any name.
    let is_test = |path: &PathBuf| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_in_tests = path.parent().is_some_and(|folder| folder.ends_with("tests"));
        stem.ends_with("tests") || is_in_tests
    };
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") && !is_test(path);
    found.filter(is_source).collect()
}
