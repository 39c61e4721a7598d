//! The keys of the bus: made by the product, and read for the NATS server.

use std::path::Path;
use std::process::Command;

use crate::{Context as _, Outcome, locate};

/// Has the product create its secrets, and reads the public keys for the NATS server.
pub fn secrets(directory: &Path) -> Outcome<Vec<(String, String)>> {
    let output = Command::new(locate::binary("natter-workers")?)
        .args(["secrets", "--dir"])
        .arg(directory)
        .output()
        .during("running natter-workers secrets")?;
    let said = String::from_utf8_lossy(&output.stderr);
    crate::ensure!(output.status.success(), "natter-workers secrets: {}: {said}", output.status);
    let file = directory.join("nkeys.env");
    let text = std::fs::read_to_string(&file).during(file.display())?;
    let keys: Vec<_> = text.lines().filter_map(variable).collect();
    crate::ensure!(!keys.is_empty(), "no keys in {}", file.display());
    Ok(keys)
}

/// Reads a `NAME=value` line; comments and blank lines hold none.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    let name = name.trim().trim_start_matches("export ").trim();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && !name.is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_of_an_environment_file() {
        let read = |line| variable(line).map(|(name, value)| format!("{name} {value}"));
        assert_eq!(read("NATTER_NKEY_EDGE=UABC").as_deref(), Some("NATTER_NKEY_EDGE UABC"));
        assert_eq!(read("export A=b\n").as_deref(), Some("A b"));
        assert_eq!(read("# A=b"), None);
        assert_eq!(read(""), None);
    }
}
