//! How numbers and names are written for a reader.

use crate::figure::Format;
use crate::findings::{Ability, Interval, Threshold};

/// What a metric is called, what its axis says, and how its values are written.
pub(crate) struct Metric {
    /// Name in running text.
    pub(crate) name: String,
    /// Axis label with unit.
    pub(crate) axis: String,
    /// How values are written.
    pub(crate) format: Format,
}

/// Names of the known metrics; an unknown one keeps its own name.
pub(crate) fn metric(key: &str) -> Metric {
    let (name, axis, format) = match key {
        "exact_match" => ("exact match", "Exact match, share of items", Format::Share),
        "final_answer" => ("final answer", "Final answer right, share of items", Format::Share),
        "choice_accuracy" => ("choice accuracy", "Choice accuracy, share of items", Format::Share),
        "token_accuracy" => ("token accuracy", "Token accuracy, share of answer tokens", Format::Share),
        "p_power_l" => ("measured p^L", "Measured p^L, share of items", Format::Share),
        "edit_similarity" => ("edit similarity", "Edit similarity, 0 to 100%", Format::Share),
        "brier" => ("Brier score", "Brier score, 0 is perfect", Format::Number),
        "nll" => ("negative log-likelihood", "Negative log-likelihood, nats per token", Format::Number),
        other => {
            let name = other.replace('_', " ");
            return Metric { axis: name.clone(), name, format: Format::Number };
        }
    };
    Metric { name: name.to_owned(), axis: axis.to_owned(), format }
}

/// Which of an ability's metrics is shown first: lower is earlier.
pub(crate) fn metric_rank(key: &str) -> usize {
    const ORDER: [&str; 8] = [
        "final_answer",
        "choice_accuracy",
        "exact_match",
        "token_accuracy",
        "p_power_l",
        "edit_similarity",
        "brier",
        "nll",
    ];
    ORDER.iter().position(|&m| m == key).unwrap_or(ORDER.len())
}

/// `addition: 3-digit plain, step by step, 2 shots`.
pub(crate) fn ability_name(a: &Ability) -> String {
    let mut name =
        if a.task.is_empty() || a.task == a.family { a.family.clone() } else { format!("{}: {}", a.family, a.task) };
    if a.style != "direct" && !a.style.is_empty() {
        name.push_str(", ");
        name.push_str(&a.style.replace('-', " "));
    }
    match a.shots {
        0 => {}
        1 => name.push_str(", 1 shot"),
        n => name.push_str(&format!(", {n} shots")),
    }
    name
}

/// Three significant digits, no exponent for everyday sizes: `0.69`, `12.3`, `3.1e13`.
pub(crate) fn number(v: f64) -> String {
    if !v.is_finite() {
        return "not finite".to_owned();
    }
    let size = v.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&size) {
        return power_of_ten(v);
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
    trim(&format!("{v:.decimals$}"))
}

/// `1.7k`, `332k`, `4M`, `1.2B`; beyond a trillion a power of ten.
pub(crate) fn count(v: f64) -> String {
    for (unit, name) in [(1e9, "B"), (1e6, "M"), (1e3, "k")] {
        // 999,600 is better called 1M than 1000k.
        if v.abs() >= unit * 0.9995 && v.abs() < 1e12 {
            let scaled = v / unit;
            let decimals = if scaled.abs() < 9.995 { 1 } else { 0 };
            return format!("{}{name}", trim(&format!("{scaled:.decimals$}")));
        }
    }
    if v.abs() < 1e3 && v == v.trunc() { format!("{v}") } else { number(v) }
}

/// `62%`; a decimal only where it tells something near 0 and 100.
pub(crate) fn share(v: f64) -> String {
    let p = v * 100.0;
    if p > 0.0 && p < 0.95 || p > 99.05 && p < 100.0 { format!("{p:.1}%") } else { format!("{p:.0}%") }
}

/// A value in the given format.
pub(crate) fn value(format: Format, v: f64) -> String {
    match format {
        Format::Share => share(v),
        Format::Count => count(v),
        Format::Number => number(v),
        Format::Whole => format!("{v:.0}"),
    }
}

/// `0.69 (0.61 to 0.75)`.
pub(crate) fn interval(i: Interval) -> String {
    format!("{} ({} to {})", number(i.value), number(i.low), number(i.high))
}

/// `21k (14k to 25k)`.
pub(crate) fn threshold(t: Threshold) -> String {
    format!("{} ({} to {})", count(t.scale), count(t.low), count(t.high))
}

/// `one model`, `27 models`.
pub(crate) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// A label as it is read: a hyphen between spaces is a minus.
pub(crate) fn label(text: &str) -> String {
    text.replace(" - ", " − ")
}

/// A summary that begins with its own label, without it: the label stands above as a heading.
pub(crate) fn summary<'a>(label: &str, text: &'a str) -> &'a str {
    text.strip_prefix(label).map_or(text, |rest| rest.trim_start_matches([':', ' ']))
}

/// An integer with thin spaces between thousands.
pub(crate) fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

fn power_of_ten(v: f64) -> String {
    let text = format!("{v:.2e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let raised: String = exponent
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            // U+2070 + digit holds for 0 and 4 to 9.
            c => char::from_u32(0x2070 + c.to_digit(10).unwrap_or(0)).unwrap_or(c),
        })
        .collect();
    format!("{} × 10{raised}", trim(mantissa))
}

fn trim(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// What a scale axis is called in a sentence.
pub(crate) fn scale_name(scale: &str) -> &'static str {
    match scale {
        "params_non_embedding" => "non-embedding parameters",
        "params" => "parameters",
        "flops" => "training FLOPs",
        "tokens" => "training tokens",
        "loss" => "loss",
        _ => "scale",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let written: Vec<String> = [1700.0, 3456.0, 55_296.0, 999_700.0, 4e6, 12.0, 3.1e13].map(count).into();
        assert_eq!(written, ["1.7k", "3.5k", "55k", "1M", "4M", "12", "3.1 × 10¹³"]);
        let written: Vec<String> = [0.0, 0.686, 9.751, 1234.6, 2.5e-7, f64::NAN].map(number).into();
        assert_eq!(written, ["0", "0.686", "9.75", "1235", "2.5 × 10⁻⁷", "not finite"]);
        let written: Vec<String> = [0.0, 0.004, 0.62, 0.9975, 1.0].map(share).into();
        assert_eq!(written, ["0%", "0.4%", "62%", "99.8%", "100%"]);
        assert_eq!(whole(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
