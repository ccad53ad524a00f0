//! Ladders of models: [`Ladder`] -> [`Rung`] -> [`Trained`], to the same bits at any thread count.
//!
//! A [`Ladder`] is policy (sizes, seeds, budgets, rules); [`Ladder::rungs`] turns it into [`Rung`]s, each of which says
//! everything that determines one model's weights, so that [`Rung::key`] names the result before it exists.
//! [`train_rung`] trains one model in a folder, [`grow`] a whole family: what is finished is never trained again, what
//! was killed goes on to the same bits.
//!
//! The bits do not depend on the threads because the batch is always cut into [`SHARDS`] parts, each part is computed
//! by one thread, and every sum over parts or chunks is taken in a fixed order. The clock decides only *when* a
//! resumable state is saved, and [`calibrate`] reads it to foretell times; no result depends on it.

mod calibrate;
mod error;
mod grow;
mod ladder;
mod plan;
mod rung;
mod schedule;
mod step;
mod store;
mod train;

pub use calibrate::{Calibration, calibrate, foretell};
pub use error::{Error, Invalid};
pub use grow::{Job, Progress, grow};
pub use ladder::{Batch, Budget, Ladder, PeakRate, Shape, Size};
pub use plan::{Plan, check_memory, memory_available, memory_needed, plan};
pub use rung::{EARLY_STOP_WINDOWS, Optimiser, Rung, TRAINING_VERSION};
pub use schedule::{checkpoint_steps, curve_steps, learning_rate};
pub use step::{SHARDS, StepOutcome, Trainer};
pub use store::{Checkpoint, CurvePoint, End, Trained, checkpoint_folder, find, weights_identity};
pub use train::{Event, train_rung};
