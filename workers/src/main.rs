//! Wires nothing yet.
fn main() {}
