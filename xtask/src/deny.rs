//! Dependencies by `cargo-deny` (deny.toml): licences, bans and sources always; advisories where their database is reached.

use crate::shell::{self, Result};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// Installed into the target folder, without optimisation: it builds in a third of the time and checks in a second.
const VERSION: &str = "0.20.2";

/// How cargo-deny says that it could not reach the advisory database, as opposed to having found something in it.
const UNREACHED: &str = "failed to fetch advisory database";

/// Fails on a licence, ban, source or advisory that deny.toml does not allow.
pub(crate) fn check() -> Result {
    let program = install()?;
    // Offline it must find the packages of every platform, of which a build downloads only its own.
    shell::run(&mut shell::cargo("fetch --locked --quiet"))?;
    shell::run(deny(&program).args(["--offline", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))?;
    advisories(&program)
}

/// The database is a git repository that not every network reaches. Not having checked is said, never passed off as ok.
fn advisories(program: &PathBuf) -> Result {
    let output = deny(program)
        .args(["check", "advisories"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start cargo-deny: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        eprintln!("advisories ok");
        Ok(())
    } else if said.contains(UNREACHED) {
        eprintln!("warning: advisories NOT CHECKED: the advisory database can't be reached from here");
        Ok(())
    } else {
        Err(format!("{said}\nadvisories FAILED"))
    }
}

fn deny(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(shell::root()).args(["--log-level", "error"]);
    command
}

fn install() -> Result<PathBuf> {
    let root = shell::target().join("tools");
    let program = root.join("bin").join(shell::program("cargo-deny"));
    let version = Command::new(&program).arg("--version").stderr(Stdio::null()).output();
    if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}")) {
        return Ok(program);
    }
    eprintln!("installing cargo-deny {VERSION} into {} (once, about a minute)", root.display());
    let words = format!("install cargo-deny --quiet --locked --debug --force --version {VERSION}");
    // Its own build folder: the lock of ours may be held, and its profile is not ours.
    let build = root.join("build");
    let mut install = shell::cargo(&words);
    install.arg("--root").arg(&root).env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_DEV_DEBUG", "0");
    shell::run(&mut install)?;
    std::fs::remove_dir_all(&build).map_err(|e| format!("cannot remove {}: {e}", build.display()))?;
    Ok(program)
}
