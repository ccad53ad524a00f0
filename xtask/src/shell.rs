//! Running programs, and where things are.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Everything in xtask fails with a sentence.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The root of the checkout: as cargo says it now, because a target folder may be shared by several checkouts.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Cargo's target folder, which also holds the tools and the Python environment that xtask installs.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The cargo that runs xtask, in the root of the checkout, with these words as arguments.
pub(crate) fn cargo(words: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words.split_whitespace()).current_dir(root());
    command
}

/// Runs `command` with the terminal's output; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result {
    let status =
        command.stdin(Stdio::null()).status().map_err(|e| format!("cannot start {}: {e}", describe(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", describe(command))) }
}

/// Runs `command` and gives what it wrote to standard output; standard error goes to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start {}: {e}", describe(command)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", describe(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{} wrote no UTF-8: {e}", describe(command)))
}

/// The file name of a program.
pub(crate) fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

/// The folder of the programs that `cargo test` runs. They are built here as it builds them, the whole workspace at once, so
/// that after it nothing is left to do.
fn tested() -> Result<PathBuf> {
    static BUILT: OnceLock<Result> = OnceLock::new();
    let build = || run(&mut cargo("build --quiet --workspace --bins --examples"));
    BUILT.get_or_init(build).clone().map(|()| target().join("debug"))
}

/// The example `name` as `cargo test` builds it.
pub(crate) fn tested_example(name: &str) -> Result<PathBuf> {
    Ok(tested()?.join("examples").join(program(name)))
}

/// The `saltus` program as `cargo test` builds it.
pub(crate) fn tested_saltus() -> Result<PathBuf> {
    Ok(tested()?.join(program("saltus")))
}

/// Builds the example `name` of `package` for release and gives the path of the program.
pub(crate) fn release_example(package: &str, name: &str) -> Result<PathBuf> {
    run(&mut cargo(&format!("build --quiet --release --package {package} --example {name}")))?;
    Ok(target().join("release/examples").join(program(name)))
}

/// Builds the `saltus` program for release and gives its path.
pub(crate) fn release_saltus() -> Result<PathBuf> {
    run(&mut cargo("build --quiet --release --bin saltus"))?;
    Ok(target().join("release").join(program("saltus")))
}

/// An input that is not part of this repository: below `$SALTUS_SHARED`, else `../shared`.
pub(crate) fn shared(path: &str) -> Result<PathBuf> {
    let folder = std::env::var_os("SALTUS_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(path);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no {}; put it there, or name the folder that has it in SALTUS_SHARED", path.display()))
    }
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// A new empty folder below `target/xtask`; what was there is removed.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = target().join("xtask").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("cannot remove {}: {e}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    Ok(folder)
}

/// A heading in the output.
pub(crate) fn section(title: &str) {
    eprintln!("\n== {title}");
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    format!("`{} {}`", command.get_program().to_string_lossy(), words.join(" "))
}
