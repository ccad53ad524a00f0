//! Tasks asked of models: which cells there are, what of them is missing, their records, their scores.
//!
//! A [`Catalogue`] finds [`Task`]s by name or path; a [`Protocol`] says with how many solved examples they are asked;
//! each [`Sheet`] of questions asked of one model is a cell. [`Asked::run`] computes the parts of cells that a [`Store`]
//! does not have, each named by everything that determines it; [`score`] makes scores of records, with the task's own
//! metrics or others, long after the model is gone; [`compare`] sets two cells side by side, item by item;
//! [`export_lm_eval`] and [`export_bigbench`] write them as files of other programs.

mod catalogue;
mod cell;
mod compare;
mod error;
mod export;
mod run;
mod scores;
mod store;

pub use catalogue::{ALL, Catalogue, LITE_NAME, Places, Protocol, Sheet, Task, open_library};
pub use cell::{Header, Part};
pub use compare::{Compared, Comparison, Selector, compare};
pub use error::Error;
pub use export::{Export, Exported, export_bigbench, export_lm_eval};
pub use run::{Asked, Event, Planned};
pub use scores::{Aggregate, Scored, aggregates, score};
pub use store::Store;
