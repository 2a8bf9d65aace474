//! `probe`: asks real devices once, and prints what the bridge would make of them, without secrets.

mod append;
pub(super) mod configuration;
mod description;
pub(super) mod examine;
pub(super) mod failure;
mod neighbours;
pub(super) mod settings;
pub(super) mod targets;

use std::path::{self, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;

use self::append::ConfigurationFile;
use self::configuration::{Login, configuration, device_id};
use self::examine::{examine, examine_all, profiles};
use self::neighbours::Site;
use super::{Failure, block_on, output};
use crate::config::{Device, ListedDevice};
use crate::logging;
use crate::model::{RelayPlace, Snapshot};
use crate::wording::count;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The device, or several: https://10.0.0.7; of a host alone it is https.
    #[arg(required_unless_present = "from", value_name = "URL")]
    urls: Vec<String>,
    /// Probe the devices of this file, too: a line has a URL or host, and a label behind it if you like; `#` begins a
    /// comment.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Append the `[[devices]]` found to this configuration file; without it they are printed.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
    /// User name; the access level "info" is enough.
    #[arg(long, default_value = "info")]
    username: String,
    /// File with the password; without it, the environment variable LANTIME2MQTT_PROBE_PASSWORD is taken.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Accept the certificate with this SHA-256 fingerprint.
    #[arg(long, value_name = "sha256:HEX", conflicts_with_all = ["ca", "insecure"])]
    fingerprint: Option<String>,
    /// Accept a certificate that a CA in this PEM file has signed.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Accept any certificate, and so send the password to whoever answers.
    #[arg(long)]
    insecure: bool,
    /// How to log in.
    #[arg(long, default_value = "auto", value_parser = ["auto", "basic", "bearer"])]
    auth: String,
    /// API profile: auto, a built-in one, or a file.
    #[arg(long, default_value = "auto")]
    profile: String,
    /// The way there: bypass any proxy, system, or a proxy's URL.
    #[arg(long, default_value = "bypass")]
    proxy: String,
    /// Time for each request, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    timeout: u64,
    /// Show serial numbers in full.
    #[arg(long)]
    show_serials: bool,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let devices = settings::devices(&options)?;
    let [first, ..] = &*devices else {
        return Ok(());
    };
    // It is the same for all: one that is not there is no failure of a device.
    profiles(&first.profile)?;
    let session = Session {
        show_serials: options.show_serials,
        login: Login::Own(options.password_file.map(absolute).transpose()?),
        // Read before: what is appended may name a file of a password that is not there yet.
        site: options.append.as_deref().and_then(Site::of),
        file: options.append.map(ConfigurationFile::read).transpose()?,
        ids: Vec::new(),
    };
    block_on(session.run(devices))
}

fn absolute(file: PathBuf) -> anyhow::Result<PathBuf> {
    path::absolute(&file).with_context(|| format!("--password-file {}", file.display()))
}

/// What the devices of one call share.
struct Session {
    show_serials: bool,
    login: Login,
    file: Option<ConfigurationFile>,
    /// Of that file.
    site: Option<Site>,
    /// Ids that devices found have been given.
    ids: Vec<String>,
}

impl Session {
    async fn run(mut self, devices: Vec<Device>) -> anyhow::Result<()> {
        let result = self.probe_all(devices).await;
        let appended = self.file.as_ref().map_or(&[][..], ConfigurationFile::appended);
        if let (Some(site), [_, ..]) = (&self.site, appended) {
            site.warn(appended).await;
        }
        result
    }

    async fn probe_all(&mut self, devices: Vec<Device>) -> anyhow::Result<()> {
        if let [device] = &*devices {
            return self.probe_one(device).await;
        }
        let (mut failed, mut sections) = (Vec::new(), Vec::new());
        let all = devices.len();
        for examining in examine_all(devices, self.show_serials) {
            let (device, examined) = examining.await.context("a device is not probed to the end")?;
            output::print(&format!("==== {}\n{}", device.url, examined.text))?;
            let placed = examined.result.map_err(|error| error.explain(&device));
            let placed = placed.and_then(|snapshot| self.place(&device, &snapshot, &examined.selected));
            match (placed, &self.file) {
                (Ok(appended), Some(_)) => drop(output::print(&format!("\n{appended}\n"))?),
                (Ok(section), None) => sections.push(section),
                // What fails is reported at once.
                (Err(error), _) => {
                    logging::complain(&format!("error: {error:#}"));
                    failed.push(device.url);
                }
            }
            output::print("\n")?;
        }
        if !sections.is_empty() {
            let sections = sections.join("\n");
            output::print(&format!("# A configuration to start from:\n\n{sections}\n"))?;
        }
        if failed.is_empty() {
            return Ok(());
        }
        let (number, all, failed) = (failed.len(), count(all, "device"), failed.join(", "));
        Err(anyhow!("{number} of {all} could not be probed: {failed}"))
    }

    async fn probe_one(&mut self, device: &Device) -> anyhow::Result<()> {
        let examined = examine(device, self.show_serials).await;
        output::print(&examined.text)?;
        let snapshot = examined.result.map_err(|error| error.explain(device))?;
        let placed = self.place(device, &snapshot, &examined.selected)?;
        let text = match self.file {
            Some(_) => placed,
            None => format!("# A configuration to start from:\n\n{placed}"),
        };
        output::print(&format!("\n{text}\n"))?;
        Ok(())
    }

    /// The section of the device; where it is appended to a file, what became of that.
    fn place(
        &mut self,
        device: &Device,
        snapshot: &Snapshot,
        selected: &[RelayPlace],
    ) -> anyhow::Result<String> {
        let taken = self.file.iter().flat_map(ConfigurationFile::ids);
        let taken: Vec<_> = taken.chain(self.ids.iter().map(String::as_str)).collect();
        let id = device_id(device, Some(snapshot), &taken);
        let section = configuration(&id, device, &self.login, Some(snapshot), selected);
        let placed = match &mut self.file {
            Some(file) => {
                let (id, url) = (id.clone(), device.url.clone());
                file.append(ListedDevice { id, url }, &section)?
            }
            None => section,
        };
        self.ids.push(id);
        Ok(placed)
    }
}
