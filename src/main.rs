//! The program: hands over to the command line, whose result is the exit code.

use std::process::ExitCode;

/// Faster than the allocators of glibc and musl: see `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lantime2mqtt::cli::main()
}
