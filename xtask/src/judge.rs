//! Conformance of `saltus judge`: known findings on published measurements.

use crate::{
    python,
    shell::{self, Result},
};

/// Holds the verdicts on the published measurements against what is known of them; seconds once all is built.
pub(crate) fn check() -> Result {
    let saltus = shell::tested_saltus()?;
    let (folder, about) = (shell::scratch("judge")?, shell::shared("data/README.md")?);
    let shared = about.ancestors().nth(2).ok_or("the folder of the measurements has no parent")?;
    shell::run(python::script("judge.py")?.arg(saltus).arg(shared).arg(folder))
}
