//! Rebuilds when a file of the page comes or goes: embedding alone notices only changed ones.

fn main() {
    println!("cargo:rerun-if-changed=web");
}
