//! Conformance of `bigbench`: prompts and metrics against the package `bigbench` 1.0.0 itself.

use crate::{
    python,
    shell::{self, Result},
};
use std::{path::PathBuf, process::Command};

const ARCHIVE: &str = "bigbench-1.0.0.tar.gz";

/// What the reference's metrics import; of t5 only one file is used, so that it comes without TensorFlow.
const PACKAGES: [&str; 6] = [
    "absl-py==2.5.1",
    "nltk==3.10.4",
    "rouge-score==0.1.2",
    "sacrebleu==2.6.0",
    "scikit-learn==1.9.1",
    "scipy==1.17.1",
];
const T5: &str = "t5==0.9.4";

/// Tasks of at most 1 MB (most of them), or all where `SALTUS_BIGBENCH=all` asks for it (20 minutes).
pub(crate) fn check() -> Result {
    let example = shell::tested_example("bigbench")?;
    let folder = shell::target().join("bigbench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    let (archive, packages) = (archive()?, packages()?);
    let mut script = python::script("bigbench.py")?;
    script.arg(&example).arg(archive).arg(packages).arg(&folder);
    if std::env::var("SALTUS_BIGBENCH").is_ok_and(|asked| asked == "all") {
        script.arg("all");
    }
    shell::run(&mut script)
}

/// The package's archive, after it was downloaded if it was not.
pub(crate) fn archive() -> Result<PathBuf> {
    let folder = shell::target().join("bigbench");
    let path = folder.join(ARCHIVE);
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("downloading {ARCHIVE} into {} (once, 358 MB)", folder.display());
    let python = python::environment()?;
    // pip asks the sources for their metadata, which takes setuptools and wheel.
    let tools = folder.join("tools");
    shell::run(pip(&python, "install --upgrade --target").arg(&tools).args(["setuptools==65.5.0", "wheel"]))?;
    let mut download = pip(&python, "download --no-deps --no-binary :all: --no-build-isolation --dest");
    // pip writes the file where it is to be only when it has all of it.
    shell::run(download.arg(&folder).arg("bigbench==1.0.0").env("PYTHONPATH", &tools))?;
    Ok(path)
}

/// The folder of [`PACKAGES`], after they were installed if they are not.
fn packages() -> Result<PathBuf> {
    let folder = shell::target().join("bigbench/packages");
    // Written last, so that a broken installation is made again.
    let installed = folder.join("installed.txt");
    let wanted = PACKAGES.join("\n") + "\n" + T5;
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(folder);
    }
    eprintln!("installing what bigbench's metrics import into {} (once, 250 MB)", folder.display());
    let python = python::environment()?;
    shell::run(pip(&python, "install --upgrade --target").arg(&folder).args(PACKAGES))?;
    shell::run(pip(&python, "install --upgrade --no-deps --target").arg(&folder).arg(T5))?;
    std::fs::write(&installed, wanted).map_err(|e| format!("cannot write {}: {e}", installed.display()))?;
    Ok(folder)
}

fn pip(python: &PathBuf, words: &str) -> Command {
    let mut command = Command::new(python);
    let (verb, options) = words.split_once(' ').unwrap_or((words, ""));
    command.args(["-m", "pip", verb, "--quiet", "--no-cache-dir"]).args(options.split_whitespace());
    command
}
