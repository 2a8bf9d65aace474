//! The socket between a command line and a bridge, each with its bad habits.
