//! Devices that have not answered: asked for again, left out, or written all the same. Those that have answered are kept.

use anyhow::anyhow;

use super::devices::{self, Answers, DeviceOptions, Found, ask_targets, read};
use super::prompt::Prompt;
use super::{Failure, Options, accept};
use crate::wording::count;

/// How to go on where some have failed.
enum After {
    /// With all of them, the login included.
    AskAgain,
    /// With those that have failed.
    Replace,
    LeaveOut,
    WriteAnyway,
}

/// The devices, once all have answered, or it is decided what becomes of the others.
pub(super) async fn settle(options: &Options, prompt: &mut Prompt<'_>) -> Result<Answers, Failure> {
    let again = options.devices.asked_again();
    let mut given = &options.devices;
    loop {
        let mut answers = devices::ask(given, prompt)?;
        if options.offline {
            answers.trust_system();
            answers.name();
            return Ok(answers);
        }
        loop {
            let shown = answers.certificates().await?;
            accept(&shown, options, prompt)?;
            let failed = answers.probe().await?;
            if failed.is_empty() {
                return Ok(answers);
            }
            match after(&failed, &answers, options, prompt)? {
                After::AskAgain => break,
                After::Replace => answers.replace(&options.devices, prompt)?,
                After::WriteAnyway => return Ok(answers),
                After::LeaveOut => {
                    answers.leave_out();
                    return Ok(answers);
                }
            }
        }
        given = &again;
    }
}

/// Shows what has failed, and asks how to go on; without anybody there, the options decide.
fn after(
    failed: &[String],
    answers: &Answers,
    options: &Options,
    prompt: &mut Prompt<'_>,
) -> Result<After, Failure> {
    let any_answered = answers.devices.iter().any(|found| found.snapshot.is_some());
    let summary = format!(
        "{}\n{} of {} did not answer as a LANTIME does.",
        failed.join("\n"),
        failed.len(),
        count(answers.devices.len(), "device")
    );
    if options.devices.skip_failing && any_answered {
        prompt.say(&summary);
        return Ok(After::LeaveOut);
    }
    if !prompt.is_interactive {
        let leave_out = match any_answered {
            true => "leave them out: --skip-failing, ",
            false => "",
        };
        return Err(anyhow!(
            "{summary}\nnothing is written; correct that, {leave_out}or write all devices without probing: --offline"
        )
        .into());
    }
    prompt.say(&summary);
    if !any_answered {
        if prompt.confirm("Enter the devices again?", true, "--offline")? {
            return Ok(After::AskAgain);
        }
    } else if prompt.confirm("Enter these again? The others are kept.", true, "--skip-failing")? {
        return Ok(After::Replace);
    } else if prompt.confirm("Leave these out?", true, "--skip-failing")? {
        return Ok(After::LeaveOut);
    }
    match prompt.confirm("Write the configuration all the same?", false, "--offline")? {
        true => Ok(After::WriteAnyway),
        false => Err(anyhow!("nothing is written").into()),
    }
}

impl Answers {
    /// Leaves out those that have failed.
    pub(super) fn leave_out(&mut self) {
        let failed = self.devices.extract_if(.., |found| found.failed.is_some());
        self.left_out.extend(failed.map(|found| found.device.url));
    }

    /// Asks for devices in the place of those that have failed; they have the same user and password.
    pub(super) fn replace(
        &mut self,
        options: &DeviceOptions,
        prompt: &mut Prompt<'_>,
    ) -> Result<(), Failure> {
        let mut devices = Vec::new();
        for found in std::mem::take(&mut self.devices) {
            if found.failed.is_none() {
                devices.push(found);
                continue;
            }
            let question = format!(
                "Instead of {}: URL or host, perhaps the same (empty to leave it out)",
                found.device.url
            );
            let targets = ask_targets(&question, "", options, prompt)?;
            if targets.is_empty() {
                self.left_out.push(found.device.url);
            }
            for target in targets {
                let ca = options.device_ca.as_deref();
                let device = read(&target, &self.username, self.password.expose(), ca);
                devices.push(Found::unanswered(device.map_err(Failure::Usage)?));
            }
        }
        self.devices = devices;
        Ok(())
    }
}
