//! Questions on a terminal, one line each; where nobody is there to answer, a missing answer is an error that names its
//! option. Questions go to stderr. A password is typed without being shown.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Failure;

/// Somebody who answers, or nobody.
pub(super) struct Prompt<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
    /// Whether somebody is there.
    pub(super) is_interactive: bool,
}

impl<'a> Prompt<'a> {
    pub(super) fn new(
        input: &'a mut dyn BufRead,
        output: &'a mut dyn Write,
        is_interactive: bool,
    ) -> Prompt<'a> {
        Prompt {
            input,
            output,
            is_interactive,
        }
    }

    /// A remark before the next question.
    pub(super) fn say(&mut self, text: &str) {
        let _ = writeln!(self.output, "{text}");
    }

    /// Asks; an empty line is the `default`, which may be empty.
    ///
    /// # Errors
    /// Where nobody answers, with `option`, by which the answer can be given.
    pub(super) fn ask(&mut self, question: &str, default: &str, option: &str) -> Result<String, Failure> {
        self.refuse_nobody(question, option)?;
        let shown = match default {
            "" => format!("{question}: "),
            default => format!("{question} [{default}]: "),
        };
        let answer = self.line(&shown)?;
        match answer.trim() {
            "" => Ok(default.to_owned()),
            answer => Ok(answer.to_owned()),
        }
    }

    /// Asks for a password, which is not shown.
    ///
    /// # Errors
    /// As [`Prompt::ask`].
    pub(super) fn ask_secret(&mut self, question: &str, option: &str) -> Result<String, Failure> {
        self.refuse_nobody(question, option)?;
        let hidden = Hidden::begin();
        let answer = self.line(&format!("{question} (not shown): "));
        if hidden.is_some() {
            // That of the answer was not shown either.
            self.say("");
        }
        answer
    }

    /// Asks for yes or no.
    ///
    /// # Errors
    /// As [`Prompt::ask`].
    pub(super) fn confirm(&mut self, question: &str, default: bool, option: &str) -> Result<bool, Failure> {
        self.refuse_nobody(question, option)?;
        let choice = if default { "[Y/n]" } else { "[y/N]" };
        loop {
            let answer = self.line(&format!("{question} {choice} "))?;
            match answer.trim().to_ascii_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.say("Answer y or n."),
            }
        }
    }

    fn refuse_nobody(&self, question: &str, option: &str) -> Result<(), Failure> {
        match self.is_interactive {
            true => Ok(()),
            false => Err(Failure::Usage(format!(
                "there is no terminal to ask at ({question}): give {option}"
            ))),
        }
    }

    fn line(&mut self, question: &str) -> Result<String, Failure> {
        let _ = write!(self.output, "{question}").and_then(|()| self.output.flush());
        let mut line = String::new();
        let read = self.input.read_line(&mut line);
        match read {
            Ok(0) => Err(anyhow::anyhow!("the answers have ended: nothing is written").into()),
            Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(anyhow::Error::new(error).context("cannot read the answer").into()),
        }
    }
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    /// `None` where stdin is no terminal.
    fn begin() -> Option<Hidden> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
        Some(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<T>(
        answers: &str,
        is_interactive: bool,
        ask: impl FnOnce(&mut Prompt<'_>) -> Result<T, Failure>,
    ) -> (Result<T, Failure>, String) {
        let (mut input, mut output) = (answers.as_bytes(), Vec::new());
        let answer = ask(&mut Prompt::new(&mut input, &mut output, is_interactive));
        (answer, String::from_utf8(output).unwrap())
    }

    #[test]
    fn an_empty_line_is_the_default() {
        let ask = |prompt: &mut Prompt<'_>| prompt.ask("Broker", "embedded", "--broker");
        let (answer, shown) = asked("\r\n", true, ask);
        assert_eq!(answer.unwrap(), "embedded");
        assert_eq!(shown, "Broker [embedded]: ");
        assert_eq!(asked(" mqtt://b \n", true, ask).0.unwrap(), "mqtt://b");
    }

    #[test]
    fn a_password_keeps_its_blanks() {
        let ask = |prompt: &mut Prompt<'_>| prompt.ask_secret("Password", "--password-file");
        assert_eq!(asked(" a b \n", true, ask).0.unwrap(), " a b ");
    }

    #[test]
    fn yes_or_no_is_asked_until_it_is_one_of_them() {
        let ask = |prompt: &mut Prompt<'_>| prompt.confirm("Write?", false, "--yes");
        let (answer, shown) = asked("maybe\nYes\n", true, ask);
        assert!(answer.unwrap());
        assert_eq!(shown, "Write? [y/N] Answer y or n.\nWrite? [y/N] ");
        assert!(!asked("\n", true, ask).0.unwrap());
    }

    #[test]
    fn without_anybody_a_missing_answer_names_its_option() {
        let ask = |prompt: &mut Prompt<'_>| prompt.ask("Broker", "embedded", "--broker");
        let (answer, shown) = asked("mqtt://b\n", false, ask);
        assert!(matches!(answer, Err(Failure::Usage(error)) if error.contains("give --broker")));
        assert_eq!(shown, "");
        assert!(asked("", true, ask).0.is_err(), "the end is no default");
    }
}
