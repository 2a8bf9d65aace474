//! The program: exit codes and logging; everything else is in the library.

fn main() {}
