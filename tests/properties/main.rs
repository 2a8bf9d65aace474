//! Whatever a device or a user writes, reading it does not panic, one odd value or a piece of malformed text costs one
//! field, and a change changes what it says and no more.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

mod altered_text;
mod any;
mod cluster;
mod command;
mod input;
mod odd_text;
mod odd_value;
mod poll;
mod position;
mod profile;
mod read_back;
mod relay_events;

/// Seeds that failed are kept beside the file of their test, and come first from then on.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}
