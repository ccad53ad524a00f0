//! Conformance of task files: contexts, continuations and scores against lm-evaluation-harness itself.

use crate::{
    python,
    shell::{self, Result},
};

/// Tasks of every kind over small data that the script writes; half a minute once all is built.
pub(crate) fn check() -> Result {
    let program = shell::tested_example("lm_eval")?;
    shell::run(python::script("lm_eval.py")?.arg(program).arg(shell::scratch("lm_eval")?))
}
