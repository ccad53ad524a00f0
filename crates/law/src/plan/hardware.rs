//! Budgets in FLOPs from accelerators, hours and money.

use super::question::PlanError;
use crate::observation::Flops;

/// An accelerator and its peak rate: dense bfloat16 (float16 where it has no bfloat16) with float32 accumulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpu {
    /// As the user writes it.
    pub name: &'static str,
    /// 1e12 operations a second.
    pub peak_tflops: f64,
}

/// Peak rates of the makers' data sheets, without sparsity.
pub const GPUS: [Gpu; 14] = [
    gpu("v100", 125.0),
    gpu("a100", 312.0),
    gpu("h100", 989.4),
    gpu("h100-pcie", 756.0),
    gpu("h200", 989.4),
    gpu("b200", 2250.0),
    gpu("l4", 121.0),
    gpu("l40s", 362.0),
    gpu("rtx-3090", 71.0),
    gpu("rtx-4090", 165.2),
    gpu("mi250x", 383.0),
    gpu("mi300x", 1307.4),
    gpu("tpu-v4", 275.0),
    gpu("tpu-v5p", 459.0),
];

const fn gpu(name: &'static str, peak_tflops: f64) -> Gpu {
    Gpu { name, peak_tflops }
}

/// The peak rate of an accelerator by name.
///
/// # Errors
/// [`PlanError::Asked`] with the names that there are.
pub fn peak_tflops(name: &str) -> Result<f64, PlanError> {
    let wanted = name.trim().to_ascii_lowercase();
    GPUS.iter().find(|gpu| gpu.name == wanted).map(|gpu| gpu.peak_tflops).ok_or_else(|| {
        let names: Vec<&str> = GPUS.iter().map(|gpu| gpu.name).collect();
        PlanError::Asked(format!(
            "no GPU is called {name:?}: give one of {}, or its rate as --peak-tflops",
            names.join(", ")
        ))
    })
}

/// GPU-hours x peak rate x the share of it that training reaches (MFU, model FLOPs utilisation).
///
/// # Errors
/// [`PlanError::BadNumber`]: a number that is not positive, an MFU above 1.
pub fn budget(gpu_hours: f64, peak_tflops: f64, mfu: f64) -> Result<Flops, PlanError> {
    let positive = |what, value: f64| match value.is_finite() && value > 0.0 {
        true => Ok(value),
        false => Err(PlanError::BadNumber { what, value, must: "a positive finite number" }),
    };
    positive("the number of GPU-hours", gpu_hours)?;
    positive("--peak-tflops", peak_tflops)?;
    if positive("--mfu", mfu)? > 1.0 {
        let must = "a share of the peak rate, above 0 and at most 1: 40% is --mfu 0.4";
        return Err(PlanError::BadNumber { what: "--mfu", value: mfu, must });
    }
    Ok(Flops(gpu_hours * 3600.0 * peak_tflops * 1e12 * mfu))
}

/// GPU-hours that money buys.
///
/// # Errors
/// [`PlanError::BadNumber`]: a number that is not positive.
pub fn gpu_hours(dollars: f64, dollars_per_gpu_hour: f64) -> Result<f64, PlanError> {
    for (what, value) in [("--dollars", dollars), ("--dollars-per-gpu-hour", dollars_per_gpu_hour)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(PlanError::BadNumber { what, value, must: "a positive finite number" });
        }
    }
    Ok(dollars / dollars_per_gpu_hour)
}
