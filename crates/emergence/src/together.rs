//! Many abilities judged in one study: the more of them, the more tests are passed by luck.

use crate::reason::p_text;
use crate::{Shape, Verdict};
use saltus_stats::benjamini_hochberg;

/// Makes the verdicts of one study hold together: adjusts their p-values by Benjamini & Hochberg (1995), and turns every
/// shape that passed its test alone but has an adjusted p-value above `alpha` into undetermined.
///
/// All verdicts over three sizes or more count, those without a test as p = 1, so that choosing by the weights which tests
/// are made gains nothing; fewer sizes could never be named anything.
/// Of the shapes named afterwards other than flat, the expected share that is named wrongly is at most `alpha`, if the tests
/// have their level and are independent or positively dependent, as metrics of the same answers are. With m verdicts a
/// single break needs more than m / `alpha` resamples to be told from luck; several help each other.
pub fn judge_together<'a>(verdicts: impl IntoIterator<Item = &'a mut Verdict>, alpha: f64) {
    let mut verdicts: Vec<&mut Verdict> = verdicts.into_iter().filter(|v| v.points.len() >= 3).collect();
    let p: Vec<f64> = verdicts.iter().map(|v| v.p_value.unwrap_or(1.0)).collect();
    let many = p.len();
    for ((verdict, p), adjusted) in verdicts.iter_mut().zip(&p).zip(benjamini_hochberg(&p)) {
        verdict.p_adjusted = verdict.p_value.map(|_| adjusted);
        if adjusted <= alpha || matches!(verdict.shape, Shape::Flat | Shape::Undetermined) {
            continue;
        }
        verdict.reason = format!(
            "Undetermined: alone it would be {} ({}), but {many} abilities were judged, and some pass by luck (adjusted \
             for that, {}).",
            verdict.shape,
            p_text(*p),
            p_text(adjusted)
        );
        verdict.shape = Shape::Undetermined;
        verdict.threshold = None;
    }
}
