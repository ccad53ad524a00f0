//! `cargo xtask conformance`.
use crate::shell::Result;
pub(crate) fn run(_parts: &[&str]) -> Result {
    Ok(())
}
