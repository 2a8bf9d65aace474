//! The program: hands over to the command line, whose result is the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lantime2mqtt::cli::main()
}
