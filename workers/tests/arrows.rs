//! Who may depend on whom, read from what cargo resolves: edges know no database and no worker,
//! workers know no edge, and `bus-schema` without its `runtime` feature knows only data.

#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::collections::BTreeSet;
use std::process::Command;

/// Drivers, of the backends that are and of those to come.
const DRIVERS: [&str; 8] =
    ["rusqlite", "libsqlite3-sys", "sqlx", "scylla", "mongodb", "redis", "fred", "postgres"];
/// What `bus-schema` may need when it is pure.
const PURE: [&str; 6] =
    ["natter-bus-schema", "schemars", "serde", "serde_json", "thiserror", "time"];

/// The names of the packages that one is built from, itself included, through normal dependencies.
fn built_from(package: &str, more: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(["--package", package])
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8_lossy(&output.stdout);
    names.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn edges_know_no_database_and_no_worker() {
    let edge = built_from("natter-edge", &[]);
    assert!(edge.contains("natter-bus-schema"), "the question is asked rightly");
    for driver in DRIVERS {
        assert!(!edge.contains(driver), "an edge must not know {driver}");
    }
    assert!(!edge.contains("natter-workers"));
}

#[test]
fn workers_know_no_edge() {
    let workers = built_from("natter-workers", &[]);
    assert!(workers.contains("rusqlite"), "the question is asked rightly");
    assert!(!workers.contains("natter-edge"));
    let schema = built_from("natter-bus-schema", &["--features", "runtime"]);
    assert!(!schema.contains("natter-edge") && !schema.contains("natter-workers"));
}

#[test]
fn the_schema_is_pure_without_its_runtime() {
    let direct = built_from("natter-bus-schema", &["--depth", "1"]);
    assert_eq!(direct, PURE.map(str::to_owned).into());
}

/// The text of a built binary.
fn holds(binary: &str, text: &str) -> bool {
    let bytes = std::fs::read(binary).expect("the binary was built");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn safeguards_cannot_be_switched_off_in_what_people_run() {
    for package in ["bus-schema", "edge", "workers"] {
        let manifest = format!("{}/../{package}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        let manifest = std::fs::read_to_string(manifest).expect("every crate has one");
        let manifest: toml::Table = manifest.parse().expect("cargo has read it");
        let features = manifest["features"].as_table().expect("a table");
        assert!(features.contains_key("sabotage"), "the question is asked rightly");
        assert!(!features.contains_key("default"), "{package} has no default features");
        let dependencies = manifest["dependencies"].as_table().expect("a table");
        let asked = dependencies.values().any(|wish| wish.to_string().contains("sabotage"));
        assert!(!asked, "{package} asks for it");
    }
    let there = holds(env!("CARGO_BIN_EXE_natter-workers"), "NATTER_SABOTAGE");
    assert_eq!(there, cfg!(feature = "sabotage"), "without the feature nothing of it is built");
}
