//! Who is who on the bus: made by the product.

use std::path::Path;
use std::process::Command;

use crate::{Context as _, Outcome, locate};

/// Has the product create its secrets.
pub fn make_secrets(directory: &Path) -> Outcome {
    let output = Command::new(locate::binary("natter-workers")?)
        .args(["secrets", "--dir"])
        .arg(directory)
        .output()
        .during("running natter-workers secrets")?;
    let said = String::from_utf8_lossy(&output.stderr);
    crate::ensure!(output.status.success(), "natter-workers secrets: {}: {said}", output.status);
    Ok(())
}
