//! The configuration file that `--append` names: which devices it has, and more at its end.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};

use crate::config::{self, ListedDevice};

/// A configuration file as it was read, and what has been appended since.
#[derive(Debug)]
pub(super) struct ConfigurationFile {
    path: PathBuf,
    text: String,
    /// Those of the files that it includes, too.
    devices: Vec<ListedDevice>,
    /// The ids of those that were appended.
    appended: Vec<String>,
}

impl ConfigurationFile {
    /// Reads it; where it is missing it is made with the first device.
    ///
    /// # Errors
    /// When it, or a file that it includes, cannot be read, or is no TOML.
    pub(super) fn read(path: PathBuf) -> anyhow::Result<ConfigurationFile> {
        let (text, devices) = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            read => {
                let text = read.with_context(|| format!("cannot read {}", path.display()))?;
                let devices = config::list_devices(&path);
                (text, devices.context("nothing can be appended")?)
            }
        };
        Ok(ConfigurationFile {
            path,
            text,
            devices,
            appended: Vec::new(),
        })
    }

    /// The ids of the devices that were appended.
    pub(super) fn appended(&self) -> &[String] {
        &self.appended
    }

    /// The ids of its devices.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().map(|device| device.id.as_str())
    }

    /// Appends the section of a device, unless one with its URL is there already; the result says which it was.
    ///
    /// # Errors
    /// When it cannot be written, its id is another device's, or the devices are written in a way that takes no more
    /// sections. The file is as it was then.
    pub(super) fn append(&mut self, device: ListedDevice, section: &str) -> anyhow::Result<String> {
        let path = self.path.display().to_string();
        let ListedDevice { id, url } = &device;
        if let Some(listed) = self.devices.iter().find(|listed| listed.url == *url) {
            let id = &listed.id;
            return Ok(format!(
                "{path} has {url} already, as {id:?}: nothing is appended"
            ));
        }
        if let Some(listed) = self.devices.iter().find(|listed| listed.id == *id) {
            bail!(
                "{path} has {id:?} already, at {}: give that device another id",
                listed.url
            );
        }
        let gap = match self.text.as_str() {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        let appended = format!("{gap}{section}");
        let text = format!("{}{appended}", self.text);
        toml::from_str::<toml::Table>(&text).map_err(|_| {
            anyhow!(
                "{path} takes no [[devices]] at its end: write what stands in devices = [..] as such sections"
            )
        })?;
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(appended.as_bytes()))
            .with_context(|| format!("cannot write to {path}"))?;
        let written = format!("Added to {path} as {id:?}. Check it: lantime2mqtt check-config -c {path}");
        self.text = text;
        self.appended.push(device.id.clone());
        self.devices.push(device);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: &str = "[[devices]]\nid = \"b\"\nurl = \"https://10.0.0.8\"\n";

    fn file(directory: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = directory.path().join("bridge.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn device(id: &str, url: &str) -> ListedDevice {
        let (id, url) = (id.to_owned(), url.to_owned());
        ListedDevice { id, url }
    }

    fn b() -> ListedDevice {
        device("b", "https://10.0.0.8")
    }

    #[test]
    fn a_section_comes_behind_what_is_there_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = "# mine\n[[devices]]\nid = \"a\"\nurl = \"HTTPS://10.0.0.7:443/\"";
        let path = file(&directory, first);
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        assert_eq!(target.ids().collect::<Vec<_>>(), ["a"]);
        let known = target.append(device("b", "https://10.0.0.7"), SECTION).unwrap();
        assert!(known.contains("as \"a\": nothing is appended"), "{known}");
        target.append(b(), SECTION).unwrap();
        assert_eq!(target.ids().collect::<Vec<_>>(), ["a", "b"]);
        assert!(target.append(b(), SECTION).unwrap().contains("already"));
        let error = target
            .append(device("a", "https://10.0.0.9"), SECTION)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("has \"a\" already, at https://10.0.0.7"),
            "{error}"
        );
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{first}\n\n{SECTION}")
        );
    }

    #[test]
    fn a_file_that_is_missing_is_made() {
        let path = tempfile::tempdir().unwrap().keep().join("new.toml");
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        target.append(b(), SECTION).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), SECTION);
    }

    #[test]
    fn devices_of_included_files_are_there_already() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("hall.toml"), SECTION).unwrap();
        let text = "include = [\"*.toml\"]\n";
        let path = directory.path().join("bridge.conf");
        fs::write(&path, text).unwrap();
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        let known = target.append(device("c", "https://10.0.0.8"), SECTION).unwrap();
        assert!(known.contains("as \"b\": nothing is appended"), "{known}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(directory.path().join("hall.toml"), "[mqtt]\n").unwrap();
        let error = format!("{:#}", ConfigurationFile::read(path).unwrap_err());
        assert!(error.contains("hall.toml:1:2: mqtt: an included file"), "{error}");
    }

    #[test]
    fn what_takes_no_section_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, "devices = []\n");
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        let error = target.append(b(), SECTION).unwrap_err();
        assert!(error.to_string().contains("devices = [..]"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "devices = []\n");
    }

    #[test]
    fn a_broken_line_does_not_show_its_password() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, "[[devices]]\nid = \"a\"\npassword = \"5ecret\" x\n");
        let error = format!("{:#}", ConfigurationFile::read(path).unwrap_err());
        assert!(
            error.starts_with("nothing can be appended: ") && error.contains("bridge.toml:3:"),
            "{error}"
        );
        assert!(!error.contains("5ecret"), "{error}");
    }
}
