//! What runs hosts elsewhere (`deploy/`), as linters and schemas of others see it.

use crate::process::succeeds;
use crate::{folders, packages, steps};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::Command;

/// Kubernetes versions whose schemas the manifests have to fit: those that are maintained, and one behind.
const KUBERNETES: [&str; 3] = ["1.32", "1.35", "1.37"];

/// Checks the image, the manifests and the unit.
///
/// # Errors
/// What a checker finds, or why it cannot be had.
pub(crate) fn check() -> Result<()> {
    let sources = folders::root().join("tests/deployment");
    let tools = packages::from_pypi(
        &sources,
        "linters of images and of Kubernetes manifests (20 MB, some seconds)",
    )?;
    steps::run(
        "lint of the image",
        Command::new(tools.join("bin/hadolint")).arg("deploy/Dockerfile"),
    )?;
    for version in KUBERNETES {
        steps::run(
            &format!("manifests for Kubernetes {version}"),
            Command::new("python3")
                .env("PYTHONPATH", &tools)
                .arg(tools.join("bin/kubernetes-validate"))
                .args(["--strict", "--quiet", "--kubernetes-version", version])
                .arg("deploy/kubernetes/fusebox.yaml"),
        )?;
    }
    unit()
}

/// The unit is held to what systemd takes, with the binary that was built in the place of an installed one.
fn unit() -> Result<()> {
    if !succeeds(Command::new("systemd-analyze").arg("--version")) {
        steps::announce(
            "systemd is not on this machine, so that nothing says whether it takes deploy/systemd/fusebox.service",
        );
        return Ok(());
    }
    let unit = fs::read_to_string(folders::root().join("deploy/systemd/fusebox.service"))
        .context("deploy/systemd/fusebox.service cannot be read")?;
    let built = steps::binary("debug", "fusebox");
    let unit = unit.replace("/usr/local/bin/fusebox", &built.display().to_string());
    let folder = steps::target().join("deployment");
    fs::create_dir_all(&folder)?;
    let copy = folder.join("fusebox.service");
    fs::write(&copy, unit)?;
    steps::announce("\n--- unit for systemd");
    let said = Command::new("systemd-analyze").arg("verify").arg(&copy).output()?;
    // A key that it does not know is a warning to it, and a protection that is not there.
    ensure!(
        said.status.success() && said.stderr.is_empty(),
        "deploy/systemd/fusebox.service: {}",
        String::from_utf8_lossy(&said.stderr).trim()
    );
    Ok(())
}
