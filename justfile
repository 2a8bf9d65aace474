# Shortcuts for https://just.systems; each line works without it, too.

# Shows what there is.
default:
    @just --list

# Runs the tests that match, or all that need no other programs.
test *arguments:
    cargo test --locked {{ arguments }}

# Installs what the tests talk to, and runs every test.
test-all:
    tests/run

# Checks form and lints, as CI does.
lint:
    cargo fmt --check
    cargo clippy --all-targets --features peers,recordings,stress --locked -- -D warnings

# Shows the bridge at work, with simulated devices.
demo *arguments:
    cargo run --release --locked -- demo {{ arguments }}

# Makes the documentation of the source.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --open

# Makes all that is released, in target/dist.
release *target:
    deploy/release/build {{ target }}
