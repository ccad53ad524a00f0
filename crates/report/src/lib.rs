//! Findings as one self-contained page. Recomputes no number: everything it shows is in [`Findings`].
//!
//! The figures are SVG made by some 300 lines of our own script (`assets/figures.js`) from small specifications
//! (`figure::Figure`), which are built and tested here. Plotly's script was measured against it, on one machine in the
//! same hour: 4.65 MB against 0.03 MB; 3.3 to 4.3 s to load against none to speak of; 34 to 39 ms a figure against 1 to
//! 1.5 ms, of which a study has a hundred; and it needs `style-src 'unsafe-inline'`, which this page does without.
//! Pictures made of marks in the page also follow its dark and print styles and can be read by keyboard.
//!
//! The same findings give the same bytes. Names and texts from a study are untrusted: all text goes through
//! `html::escape`, all embedded JSON through `html::json_block`, and the page's policy runs no script but its own.

pub mod budget;
mod chart;
mod figure;
pub mod findings;
pub mod fit;
mod html;
pub mod inside;
mod page;
mod section;
mod words;

pub use findings::Findings;
pub use page::page;
pub use section::shown_first;

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Why a page could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot write the report to {}: {source}; choose a folder that exists and can be written to, with room for about 2 MB", path.display())]
    Write {
        /// Where the page should have gone.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Writes the page of `findings` to the file `out`: beside it first, then renamed, so that no reader sees half a page.
///
/// # Errors
/// [`Error::Write`] when the folder is missing, not writable or full; an older page at `out` is then left as it was.
pub fn write(findings: &Findings, out: &Path) -> Result<(), Error> {
    write_text(&page(findings), out)
}

/// Writes a page that is made already, likewise.
///
/// # Errors
/// As [`write()`].
pub fn write_text(text: &str, out: &Path) -> Result<(), Error> {
    let beside = out.with_extension("html.part");
    let put = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, out)
    };
    put().map_err(|source| {
        // The part file is ours alone; if it cannot be removed either, the first error says more.
        let _ = std::fs::remove_file(&beside);
        Error::Write { path: out.to_path_buf(), source }
    })
}
