//! The Python environment of `bench` and `conformance`: conformance/requirements.txt, installed once.

use crate::shell::{self, Result};
use std::{path::PathBuf, process::Command};

/// A command that runs `conformance/SCRIPT` with the installed packages, without any network.
pub(crate) fn script(name: &str) -> Result<Command> {
    let mut command = Command::new(environment()?);
    command.arg(shell::root().join("conformance").join(name)).current_dir(shell::root());
    command.env("HF_HUB_OFFLINE", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// The interpreter, after the packages were installed if they are not.
pub(crate) fn environment() -> Result<PathBuf> {
    let folder = shell::target().join("python");
    let python = folder.join("bin/python");
    let required = shell::read(&shell::root().join("conformance/requirements.txt"))?;
    // Written last, so that a broken installation is made again.
    let installed = folder.join("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == required) {
        return Ok(python);
    }
    eprintln!("installing conformance/requirements.txt into {} (once, some minutes)", folder.display());
    shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let requirements = shell::root().join("conformance/requirements.txt");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-compile", "--requirement"]).arg(requirements);
    shell::run(&mut pip)?;
    std::fs::write(&installed, required).map_err(|e| format!("cannot write {}: {e}", installed.display()))?;
    Ok(python)
}
