//! `saltus plan`: a budget, size, tokens or loss -> the rest, by all laws side by side, and the abilities seen by then.

mod abilities;
pub(crate) mod arguments;
mod laws;
mod page;
mod shown;

use crate::{measured::Refused, print};
use abilities::Ability;
use arguments::{ParamsConvention, PlanArguments};
use miette::{IntoDiagnostic, Result};
use saltus_law::Parameters;
use saltus_law::plan::{Answer, BudgetLaw, Known, PlanError, Question, answer, budget, gpu_hours, peak_tflops};
use std::{path::Path, process::ExitCode};

impl From<PlanError> for Refused {
    fn from(error: PlanError) -> Self {
        Refused(error.to_string())
    }
}

/// All that is shown.
pub(crate) struct Plan {
    /// The budget in words, where one was given.
    budget: Option<String>,
    question: Question,
    times: Option<f64>,
    rows: Vec<(BudgetLaw, Answer)>,
    /// Laws without an answer, and why.
    left_out: Vec<(String, String)>,
    abilities: Vec<Ability>,
}

/// Runs the command.
pub(crate) fn run(arguments: &PlanArguments) -> Result<ExitCode> {
    let plan = make(arguments)?;
    if let Some(path) = &arguments.page {
        let text = saltus_report::budget::page(&page::page(&plan));
        saltus_report::write_text(&text, path).into_diagnostic()?;
    }
    print(arguments.json, &shown::rows(&plan), || shown::text(&plan))
}

fn make(arguments: &PlanArguments) -> Result<Plan, Refused> {
    let (flops, budget) = match spent(arguments)? {
        Some((flops, words)) => (Some(flops), Some(words)),
        None => (None, None),
    };
    let known = Known {
        flops,
        params: arguments.params,
        tokens: arguments.tokens,
        loss: arguments.loss,
        inference: arguments.inference_tokens,
        unique: arguments.unique_tokens,
    };
    let question = Question::new(known)?;
    let times = growth(arguments, &question)?;
    let convention = match arguments.params_convention {
        ParamsConvention::Total => Parameters::Total,
        ParamsConvention::NonEmbedding => Parameters::NonEmbedding,
    };
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for law in laws::laws(arguments)? {
        match answer(&law, &question, convention, times) {
            Ok(answer) => rows.push((law, answer)),
            Err(why) => left_out.push((law.name, why.to_string())),
        }
    }
    if rows.is_empty() {
        let reasons: Vec<String> = left_out.iter().map(|(law, why)| format!("  {law}: {why}")).collect();
        return Err(PlanError::NoAnswer(reasons.join("\n")).into());
    }
    Ok(Plan { budget, question, times, rows, left_out, abilities: abilities::abilities(&arguments.judged)? })
}

fn growth(arguments: &PlanArguments, question: &Question) -> Result<Option<f64>, Refused> {
    match arguments.times {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            let must = "a positive finite number, such as 10";
            Err(PlanError::BadNumber { what: "--times", value, must }.into())
        }
        Some(_) if !question.is_optimum() => Err(Refused(
            "--times asks how a larger budget is best split, so it goes with a budget, --params, --tokens or --loss alone: \
             leave the second out"
                .to_owned(),
        )),
        times => Ok(times),
    }
}

/// The budget in FLOPs and in words, where one is given in any of the three ways.
fn spent(arguments: &PlanArguments) -> Result<Option<(f64, String)>, Refused> {
    let a = arguments;
    let by_hours = a.gpus.is_some() || a.hours.is_some();
    let by_money = a.dollars.is_some() || a.dollars_per_gpu_hour.is_some();
    let by_hardware = by_hours || by_money || a.gpu.is_some() || a.peak_tflops.is_some() || a.mfu.is_some();
    if a.flops.is_some() && by_hardware {
        return Err(Refused(
            "--flops is a budget already, and --gpus, --hours, --gpu, --peak-tflops, --mfu and --dollars are another: give \
             one of them"
                .to_owned(),
        ));
    }
    if by_hours && by_money {
        return Err(Refused(
            "--gpus with --hours is one budget and --dollars with --dollars-per-gpu-hour another: give one of them"
                .to_owned(),
        ));
    }
    if let Some(flops) = a.flops {
        return Ok(Some((flops, format!("{} FLOPs", shown::flops(flops)))));
    }
    if !by_hardware {
        return Ok(None);
    }
    let missing = |what: &str| Refused(format!("a budget in GPUs or money needs {what} too"));
    let (hours, words) = match (a.gpus, a.hours, a.dollars, a.dollars_per_gpu_hour) {
        (Some(gpus), Some(hours), _, _) => {
            for (what, value) in [("--gpus", gpus), ("--hours", hours)] {
                if !(value.is_finite() && value > 0.0) {
                    return Err(PlanError::BadNumber { what, value, must: "a positive finite number" }.into());
                }
            }
            (gpus * hours, format!("{gpus} GPUs x {hours} h"))
        }
        (_, _, Some(dollars), Some(price)) => {
            let hours = gpu_hours(dollars, price)?;
            (hours, format!("${dollars} at ${price} for a GPU-hour: {} GPU-hours", shown::count(hours)))
        }
        (Some(_), None, _, _) => return Err(missing("--hours")),
        (None, Some(_), _, _) => return Err(missing("--gpus")),
        (_, _, Some(_), None) => return Err(missing("--dollars-per-gpu-hour")),
        _ => return Err(missing("--gpus and --hours, or --dollars and --dollars-per-gpu-hour,")),
    };
    let peak = match (&a.gpu, a.peak_tflops) {
        (Some(name), _) => peak_tflops(name)?,
        (None, Some(peak)) => peak,
        (None, None) => return Err(missing("the GPU's peak rate (--gpu h100, or --peak-tflops)")),
    };
    let mfu =
        a.mfu.ok_or_else(|| missing("--mfu, the share of the peak rate that training reaches (often 0.3 to 0.5),"))?;
    let flops = budget(hours, peak, mfu)?.0;
    Ok(Some((flops, format!("{} FLOPs = {words} x {peak} TFLOP/s x MFU {mfu}", shown::flops(flops)))))
}

/// A JSON file of this program's own making.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T, Refused> {
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Refused(format!("{place} cannot be read: {e}; name a file with {what}")))?;
    serde_json::from_str(&text).map_err(|e| Refused(format!("{place}: {e}; it should be {what}")))
}
