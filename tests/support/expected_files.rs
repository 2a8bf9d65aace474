//! Golden files: compared with what is found, or written again with `UPDATE_EXPECTED=1`.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder. Differences are collected, so that one run shows all of them.
pub(crate) struct ExpectedFiles {
    folder: PathBuf,
    is_update: bool,
    compared: BTreeSet<PathBuf>,
    wrong: String,
}

impl ExpectedFiles {
    /// Of a folder of the project.
    pub(crate) fn of(folder: &str) -> ExpectedFiles {
        ExpectedFiles {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            is_update: env::var_os("UPDATE_EXPECTED").is_some(),
            compared: BTreeSet::new(),
            wrong: String::new(),
        }
    }

    /// The text of a file such as `1-start/state`; it is `found` where the files are written again.
    pub(crate) fn expected(&mut self, name: &str, found: &str) -> String {
        let file = self.folder.join(format!("{name}.txt"));
        if self.is_update {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, found).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        self.compared.insert(file);
        expected
    }

    /// Something in that file is not as expected.
    pub(crate) fn differs(&mut self, name: &str, difference: &str) {
        let _ = writeln!(self.wrong, "\n{name}: {difference}");
    }

    /// Panics with all differences; also where a file is in one of these folders that nothing was compared with.
    pub(crate) fn finish(mut self, folders: &[&str]) {
        let folders = folders.iter().map(|name| self.folder.join(name));
        for file in folders.flat_map(|folder| files(&folder)) {
            if self.compared.contains(&file) {
                continue;
            }
            if self.is_update {
                fs::remove_file(&file).unwrap();
            } else {
                let _ = writeln!(self.wrong, "\n{}: nothing makes it", file.display());
            }
        }
        assert!(
            self.wrong.is_empty(),
            "{}\nwhere that is wanted: UPDATE_EXPECTED=1 cargo test --features peers --test {}, and look at git diff",
            self.wrong,
            env!("CARGO_CRATE_NAME")
        );
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let below = paths.flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    below.collect()
}
