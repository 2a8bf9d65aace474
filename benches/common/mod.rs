//! What the runs with real processes share: the processes, what they cost, and the simulated devices.
// Each run is a crate of its own and uses a part of this only.
#![allow(dead_code)]

pub(crate) mod children;
pub(crate) mod devices;
pub(crate) mod process;
