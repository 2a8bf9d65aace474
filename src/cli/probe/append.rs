//! The configuration file that `--append` names: which devices it has, and more at its end.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};

/// A configuration file as it was read, and what has been appended since.
#[derive(Debug)]
pub(super) struct ConfigurationFile {
    path: PathBuf,
    text: String,
    devices: Vec<Listed>,
}

/// A device of the file, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    id: String,
    url: String,
}

impl ConfigurationFile {
    /// Reads it; where it is missing it is made with the first device.
    ///
    /// # Errors
    /// When it cannot be read, or is no TOML.
    pub(super) fn read(path: PathBuf) -> anyhow::Result<ConfigurationFile> {
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let devices = devices(&text).map_err(|error| {
            anyhow!(
                "{} is no TOML, and nothing can be appended: {error}",
                path.display()
            )
        })?;
        Ok(ConfigurationFile { path, text, devices })
    }

    /// The ids of its devices.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().map(|device| device.id.as_str())
    }

    /// Appends a section, unless a device with that URL is there already; the result says which it was.
    ///
    /// # Errors
    /// When it cannot be written, or its devices are written in a way that takes no more sections. It is as it was then.
    pub(super) fn append(&mut self, url: &str, section: &str) -> anyhow::Result<String> {
        let path = self.path.display().to_string();
        if let Some(listed) = self.devices.iter().find(|listed| listed.url == url) {
            return Ok(format!(
                "{path} has {url} already, as {:?}: nothing is appended",
                listed.id
            ));
        }
        let gap = match self.text.as_str() {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        let appended = format!("{gap}{section}");
        let text = format!("{}{appended}", self.text);
        let devices = devices(&text).map_err(|_| {
            anyhow!(
                "{path} takes no [[devices]] at its end: write what stands in devices = [..] as such sections"
            )
        })?;
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(appended.as_bytes()))
            .with_context(|| format!("cannot write to {path}"))?;
        let id = devices.last().map_or(String::new(), |device| device.id.clone());
        (self.text, self.devices) = (text, devices);
        Ok(format!(
            "{path} has it now, as {id:?}; see what else it needs: lantime2mqtt check-config -c {path}"
        ))
    }
}

/// The devices of a configuration.
fn devices(text: &str) -> Result<Vec<Listed>, toml::de::Error> {
    let table: toml::Table = toml::from_str(text)?;
    let devices = table.get("devices").and_then(toml::Value::as_array);
    let word = |device: &toml::Value, key: &str| {
        let value = device.get(key).and_then(toml::Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let listed = |device| Listed {
        id: word(device, "id"),
        url: word(device, "url"),
    };
    Ok(devices.into_iter().flatten().map(listed).collect())
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

    #[test]
    fn a_section_comes_behind_what_is_there_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = "# mine\n[[devices]]\nid = \"a\"\nurl = \"https://10.0.0.7\"";
        let path = file(&directory, first);
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        assert_eq!(target.ids().collect::<Vec<_>>(), ["a"]);
        let known = target.append("https://10.0.0.7", SECTION).unwrap();
        assert!(known.contains("as \"a\": nothing is appended"), "{known}");
        target.append("https://10.0.0.8", SECTION).unwrap();
        assert_eq!(target.ids().collect::<Vec<_>>(), ["a", "b"]);
        assert!(
            target
                .append("https://10.0.0.8", SECTION)
                .unwrap()
                .contains("already")
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
        target.append("https://10.0.0.8", SECTION).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), SECTION);
    }

    #[test]
    fn what_takes_no_section_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, "devices = []\n");
        let mut target = ConfigurationFile::read(path.clone()).unwrap();
        let error = target.append("https://10.0.0.8", SECTION).unwrap_err();
        assert!(error.to_string().contains("devices = [..]"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "devices = []\n");
        let error = ConfigurationFile::read(file(&directory, "[mqtt")).unwrap_err();
        assert!(error.to_string().contains("is no TOML"), "{error}");
    }
}
