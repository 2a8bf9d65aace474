//! API profiles: what is assumed of the vendor's JSON, as data.
//!
//! A profile covers one API generation. Each entry says whether it was `seen` on a device or is assumed, so
//! that a guess never looks like a fact, and a user mends a wrong one with a text editor.

mod relay_events;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

pub(in crate::lantime) use relay_events::keys;
pub use relay_events::{RelayEventsEntries, WriteLocation, WriteMethod};

/// The profiles that are part of the program, oldest API first.
const BUILT_IN: [&str; 3] = [
    include_str!("../../../config/profiles/api-10.toml"),
    include_str!("../../../config/profiles/api-16.toml"),
    include_str!("../../../config/profiles/api-20.toml"),
];

/// Where things are in one API generation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name (`api-10`).
    pub name: String,
    /// The first major API version that it covers; it ends where the next profile begins.
    pub from_api: u32,
    /// The status document.
    pub status: Location,
    /// API tokens.
    pub token: Token,
    /// Clock modules.
    pub clock: ClockStrings,
    /// Relay modules.
    pub relay_module: RelayModuleEntries,
    /// The changeover unit.
    pub rsc: RscEntries,
    /// The configuration that chooses the events that switch a relay.
    pub relay_events: RelayEventsEntries,
}

/// A path of the REST API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// With its leading slash.
    pub path: String,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// How to get an API token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// With its leading slash.
    pub path: String,
    /// The token in the answer.
    pub pointer: String,
    /// The first firmware that has it.
    pub from_firmware: String,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// Texts that mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// The texts, compared without regard to case and surrounding blanks.
    pub values: Vec<String>,
    /// Whether they were seen on a device.
    pub seen: bool,
}

impl Texts {
    /// Whether `text` is one of them.
    pub fn contain(&self, text: &str) -> bool {
        is_one_of(&self.values, text)
    }
}

/// What the `clock` of a clock module may say; any other text is `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStrings {
    /// Texts for a clock that is synchronous.
    pub synchronized: Texts,
    /// Texts for one that is not.
    pub not_synchronized: Texts,
    /// Keys of a clock module's object that may hold its receiver; a profile without them has the usual ones.
    #[serde(default = "usual_receivers")]
    pub receivers: Vec<Receiver>,
}

/// A key of a clock module's object that may hold its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// The key.
    pub key: String,
    /// Whether it was seen on a device.
    pub seen: bool,
}

fn usual_receivers() -> Vec<Receiver> {
    let receiver = |key: &str| Receiver {
        key: key.to_owned(),
        seen: false,
    };
    ["grc", "dcf77", "gns"].map(receiver).into()
}

/// What a relay module reports, with pointers that start at the module's own object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayModuleEntries {
    /// Model names by which relay modules are found.
    pub models: Texts,
    /// Position of relay A.
    pub relay_a: Contact,
    /// Position of relay B.
    pub relay_b: Contact,
    /// Position of relay C.
    pub relay_c: Contact,
    /// Supervision of the pulse per second.
    pub pps: Supervision,
    /// Supervision of 10 MHz.
    #[serde(rename = "10mhz")]
    pub ten_mhz: Supervision,
}

/// Where a contact's position stands, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// JSON pointer (RFC 6901) into the module's object.
    pub pointer: String,
    /// Texts for NO, normal.
    pub no: Vec<String>,
    /// Texts for NC, fault.
    pub nc: Vec<String>,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// Where a supervised signal's state stands, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// JSON pointer (RFC 6901) into the module's object.
    pub pointer: String,
    /// Texts for a signal that is as it should be.
    pub ok: Vec<String>,
    /// Texts for one that failed.
    pub fail: Vec<String>,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// The changeover unit, with pointers that start at its module's object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RscEntries {
    /// Model names by which it is found.
    pub models: Texts,
    /// Automatic or manual.
    pub mode: Pointer,
}

/// A text that is passed on as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    /// Whether it was seen on a device.
    pub seen: bool,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read the API profile {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// The text is not a profile.
    #[error("{origin} is not an API profile: {reason}")]
    Parse {
        /// The file, or the built-in profile.
        origin: String,
        /// What is wrong, with line and column where it is a matter of syntax.
        reason: String,
    },
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When the text is not TOML, lacks an entry, has one too many, or an entry cannot be: a path or pointer that
    /// does not begin with `/`, places that lie within each other, a word or a version that is none.
    pub fn parse(text: &str, origin: &str) -> Result<Profile, ProfileError> {
        let fail = |reason: String| ProfileError::Parse {
            origin: origin.to_owned(),
            reason,
        };
        let profile: Profile = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        for (entry, pointer) in profile.pointers() {
            if !pointer.starts_with('/') {
                return Err(fail(format!("{entry} = {pointer:?} must begin with \"/\"")));
            }
        }
        if let Some(fault) = profile.relay_events.fault() {
            return Err(fail(fault));
        }
        if firmware_version(&profile.token.from_firmware).is_none() {
            let value = &profile.token.from_firmware;
            return Err(fail(format!(
                "token.from_firmware = {value:?} is no version such as \"7.08\""
            )));
        }
        Ok(profile)
    }

    /// Reads a profile file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a profile.
    pub fn from_file(path: &Path) -> Result<Profile, ProfileError> {
        let text = std::fs::read_to_string(path).map_err(|reason| ProfileError::Read {
            path: path.to_owned(),
            reason,
        })?;
        Profile::parse(&text, &path.display().to_string())
    }

    fn pointers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let module = &self.relay_module;
        let of_status = [
            ("status.path", &self.status.path),
            ("token.path", &self.token.path),
            ("token.pointer", &self.token.pointer),
            ("relay_module.relay_a.pointer", &module.relay_a.pointer),
            ("relay_module.relay_b.pointer", &module.relay_b.pointer),
            ("relay_module.relay_c.pointer", &module.relay_c.pointer),
            ("relay_module.pps.pointer", &module.pps.pointer),
            ("relay_module.10mhz.pointer", &module.ten_mhz.pointer),
            ("rsc.mode.pointer", &self.rsc.mode.pointer),
        ];
        let of_status = of_status
            .into_iter()
            .map(|(key, pointer)| (key, pointer.as_str()));
        of_status.chain(self.relay_events.pointers())
    }

    /// Whether the entry of that name was seen on a device.
    pub fn is_seen(&self, entry: &str) -> bool {
        let module = &self.relay_module;
        match entry {
            "relay_module.relay_a" => module.relay_a.seen,
            "relay_module.relay_b" => module.relay_b.seen,
            "relay_module.relay_c" => module.relay_c.seen,
            "relay_module.pps" => module.pps.seen,
            "relay_module.10mhz" => module.ten_mhz.seen,
            "rsc.mode" => self.rsc.mode.seen,
            "relay_events.read" => self.relay_events.read.seen,
            "relay_events.write" => self.relay_events.write.seen,
            "relay_events.apply" => self.relay_events.apply.seen,
            _ => false,
        }
    }

    /// Whether that firmware issues API tokens, as far as is known.
    pub fn has_tokens(&self, firmware: &str) -> bool {
        let needed = firmware_version(&self.token.from_firmware);
        firmware_version(firmware).is_some_and(|version| Some(version) >= needed)
    }
}

/// Which profile reads a device: one that is fixed, or one by the version that each answer states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles(Arc<[Profile]>);

impl Profiles {
    /// All built-in profiles: the version in the answer decides.
    pub fn built_in() -> Profiles {
        let parse =
            |text: &&str| Profile::parse(text, "a built-in profile").expect("a test parses each of them");
        Profiles(BUILT_IN.iter().map(parse).collect())
    }

    /// This one, whatever the device says.
    pub fn fixed(profile: Profile) -> Profiles {
        Profiles(Arc::new([profile]))
    }

    /// The built-in profile of that name.
    pub fn named(name: &str) -> Option<Profiles> {
        let found = Profiles::built_in()
            .0
            .iter()
            .find(|profile| profile.name == name)
            .cloned();
        found.map(Profiles::fixed)
    }

    /// The names of the built-in profiles.
    pub fn names() -> Vec<String> {
        Profiles::built_in()
            .0
            .iter()
            .map(|profile| profile.name.clone())
            .collect()
    }

    /// The newest profile that begins at or below that major version. A version below all of them gets the
    /// oldest, and an unknown one the newest.
    pub fn for_version(&self, major: Option<u32>) -> &Profile {
        let Profiles(all) = self;
        let (first, last) = (all.first(), all.last());
        let profile = match major {
            Some(major) => all.iter().rfind(|profile| profile.from_api <= major).or(first),
            None => last,
        };
        profile.expect("a Profiles holds at least one")
    }
}

/// The numbers of `fw_7.06.014-light` or `7.08`: 7, 6 and 14, or 7 and 8.
pub fn firmware_version(text: &str) -> Option<Vec<u32>> {
    let text = text.trim().strip_prefix("fw_").unwrap_or(text.trim());
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text[..end].split('.').map(|part| part.parse().ok()).collect()
}

/// Compares as devices are compared: case and surrounding blanks do not count.
pub fn is_one_of(texts: &[String], text: &str) -> bool {
    let text = text.trim();
    texts
        .iter()
        .any(|candidate| candidate.trim().eq_ignore_ascii_case(text))
}
