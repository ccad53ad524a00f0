//! What a figure is: axes and layers, as `assets/figures.js` draws them.

use serde::Serialize;

/// A figure. Its pictures have no pixel sizes but the height: the browser draws them at the width there is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Unique on the page.
    pub(crate) id: String,
    /// Full title, for a picture that stands alone.
    pub(crate) title: String,
    /// Title within the section that it stands in.
    #[serde(skip)]
    pub(crate) caption: String,
    /// No legend on the page, which explains the marks once for many figures; a saved picture has one.
    pub(crate) quiet: bool,
    /// What can be seen, for those who do not see it.
    pub(crate) alt: String,
    /// Height of the plotting area in CSS pixels.
    pub(crate) height: u32,
    /// Horizontal axis.
    pub(crate) x: Axis,
    /// Vertical axis.
    pub(crate) y: Axis,
    /// Drawn in this order.
    pub(crate) layers: Vec<Layer>,
}

/// An axis.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Axis {
    /// Name and unit.
    pub(crate) label: String,
    /// How values are written.
    pub(crate) format: Format,
    /// Logarithmic at first; the reader may toggle it.
    pub(crate) log: bool,
    /// Lower end, where data alone should not decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lo: Option<f64>,
    /// Upper end, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hi: Option<f64>,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// 1.7k, 4M.
    Count,
    /// 62%.
    Share,
    /// 0.69.
    Number,
    /// 12; whole numbers only.
    Whole,
}

/// What is drawn. `label` puts a layer into the legend, where it can be switched off.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Layer {
    /// A filled band between two curves.
    Band { colour: String, x: Vec<f64>, low: Vec<f64>, high: Vec<f64>, label: Option<String> },
    /// A curve; `end` is written at its right end.
    Line {
        colour: String,
        x: Vec<f64>,
        y: Vec<f64>,
        dash: bool,
        thin: bool,
        label: Option<String>,
        end: Option<String>,
    },
    /// Markers with optional intervals; `names` head the hover texts; `seeds` layers have a switch of their own.
    Points {
        colour: String,
        shape: Shape,
        x: Vec<f64>,
        y: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
        names: Vec<String>,
        label: Option<String>,
        seeds: bool,
    },
    /// A horizontal line right across.
    Rule { y: f64, label: String },
    /// A vertical band with its estimate.
    Span { colour: String, at: f64, low: f64, high: f64, label: String },
    /// The line y = x.
    Diagonal { label: String },
    /// A heat map: a cell for each value, at a column `x` of the row `row`, coloured from `lo` to `hi`. Takes the whole
    /// figure.
    Cells {
        names: Vec<String>,
        row: Vec<usize>,
        x: Vec<u32>,
        value: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
        lo: f64,
        hi: f64,
    },
    /// One row each: a horizontal interval with its estimate, named. Takes the whole figure.
    Ranges { colour: String, x: Vec<f64>, low: Vec<f64>, high: Vec<f64>, names: Vec<String> },
}

/// Marker shapes, so that colour is never the only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Filled circle.
    Circle,
    /// Filled square.
    Square,
    /// Triangle, tip up.
    Triangle,
    /// Square on its tip.
    Diamond,
    /// Triangle, tip down.
    Wedge,
    /// Open circle, for seeds.
    Ring,
}

impl Shape {
    /// The shape for the `i`-th series.
    pub(crate) fn nth(i: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Wedge][i % 5]
    }
}

/// Number of steps in the sequential ramp of the style sheet, `s0` to `s11`.
const RAMP: usize = 12;

/// Colour of the `i`-th of `n` ordered series, for example sizes.
pub(crate) fn ramp(i: usize, n: usize) -> String {
    let step = if n < 2 { RAMP / 2 } else { (i * (RAMP - 1) + (n - 1) / 2) / (n - 1) };
    format!("s{}", step.min(RAMP - 1))
}

/// Six significant digits: all a picture can show, and a third of the bytes.
pub(crate) fn tidy(v: f64) -> f64 {
    format!("{v:.5e}").parse().unwrap_or(v)
}

/// [`tidy`] for many.
pub(crate) fn tidied(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().map(tidy).collect()
}

impl Axis {
    /// The axis of model sizes.
    pub(crate) fn size() -> Self {
        Self { label: "Non-embedding parameters".to_owned(), format: Format::Count, log: true, lo: None, hi: None }
    }

    /// The axis of a scale by its name in findings.
    pub(crate) fn scale(name: &str) -> Self {
        let text = crate::words::scale_name(name);
        let label = text[..1].to_uppercase() + &text[1..];
        Self { label, ..Self::size() }
    }

    /// Any other axis, scaled by its data.
    pub(crate) fn new(label: &str, format: Format, log: bool) -> Self {
        Self { label: label.to_owned(), format, log, lo: None, hi: None }
    }

    /// The same with fixed ends.
    pub(crate) fn within(self, lo: f64, hi: f64) -> Self {
        Self { lo: Some(lo), hi: Some(hi), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_is_ordered_and_uses_both_ends() {
        for n in 2..=RAMP {
            let steps: Vec<usize> = (0..n).map(|i| ramp(i, n)[1..].parse().unwrap()).collect();
            assert!(steps.is_sorted_by(|a, b| a < b), "{n}: {steps:?}");
            assert_eq!((steps[0], steps[n - 1]), (0, RAMP - 1));
        }
        assert_eq!(tidy(0.123_456_789), 0.123457);
    }
}
