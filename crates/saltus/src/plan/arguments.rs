//! What the user typed after `saltus plan`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ParamsConvention {
    /// All parameters
    Total,
    /// Without the embedding and the head
    NonEmbedding,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Numbers may be written 70B, 1.4T or 5.76e23. Give a budget (--flops; --gpus, --hours, --gpu and \
    --mfu; or --dollars, --dollars-per-gpu-hour, --gpu and --mfu) for its best split; --params, --tokens or --loss alone \
    for the budget for which they are best; any two of budget, --params, --tokens and --loss for the rest. Examples:\n  \
    saltus plan --flops 5.76e23\n  saltus plan --gpus 512 --hours 720 --gpu h100 --mfu 0.4 --inference-tokens 2T\n  \
    saltus plan --params 7B --unique-tokens 100B --flops 1e23\nExit codes: 0 done; 2 mistake in the arguments or a file."
)]
pub(crate) struct PlanArguments {
    /// Training budget in FLOPs (6 N D)
    #[arg(long, value_name = "C", value_parser = number, allow_negative_numbers = true)]
    pub(crate) flops: Option<f64>,
    /// Budget: so many GPUs ...
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    pub(crate) gpus: Option<f64>,
    /// ... for so many hours
    #[arg(long, value_name = "H", value_parser = number, allow_negative_numbers = true)]
    pub(crate) hours: Option<f64>,
    /// Budget: so much money ...
    #[arg(long, value_name = "X", value_parser = number, allow_negative_numbers = true)]
    pub(crate) dollars: Option<f64>,
    /// ... at this price
    #[arg(long, value_name = "Y", value_parser = number, allow_negative_numbers = true)]
    pub(crate) dollars_per_gpu_hour: Option<f64>,
    /// The GPU, for its peak rate in dense bfloat16: v100, a100, h100, h100-pcie, h200, b200, l4, l40s, rtx-3090,
    /// rtx-4090, mi250x, mi300x, tpu-v4, tpu-v5p
    #[arg(long, value_name = "NAME", conflicts_with = "peak_tflops")]
    pub(crate) gpu: Option<String>,
    /// Or its peak rate, 1e12 FLOPs a second
    #[arg(long, value_name = "P", value_parser = number, allow_negative_numbers = true)]
    pub(crate) peak_tflops: Option<f64>,
    /// Share of the peak rate that training reaches, such as 0.4
    #[arg(long, value_parser = number, allow_negative_numbers = true)]
    pub(crate) mfu: Option<f64>,
    /// Fixed number of parameters
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    pub(crate) params: Option<f64>,
    /// What --params counts
    #[arg(long, value_enum, default_value = "total")]
    pub(crate) params_convention: ParamsConvention,
    /// Fixed number of training tokens
    #[arg(long, value_name = "D", value_parser = number, allow_negative_numbers = true)]
    pub(crate) tokens: Option<f64>,
    /// Loss to be reached, nats per token of the law's own text
    #[arg(long, value_name = "L", value_parser = number, allow_negative_numbers = true)]
    pub(crate) loss: Option<f64>,
    /// Tokens that the model will read and write in use: the model of the same loss that is cheapest in training and use
    #[arg(long, value_name = "T", value_parser = number, allow_negative_numbers = true)]
    pub(crate) inference_tokens: Option<f64>,
    /// Tokens that differ; more are repetitions, which are worth less
    #[arg(long, value_name = "U", value_parser = number, allow_negative_numbers = true)]
    pub(crate) unique_tokens: Option<f64>,
    /// How to split so many times the budget
    #[arg(long, value_name = "K", value_parser = number, allow_negative_numbers = true)]
    pub(crate) times: Option<f64>,
    /// A fit of your own: what `saltus fit --json` printed; may be given more than once
    #[arg(long = "fit", value_name = "FILE")]
    pub(crate) fits: Vec<PathBuf>,
    /// Only these laws: kaplan, chinchilla-1, chinchilla-2, chinchilla-3, chinchilla-3-printed, besiroglu,
    /// data-constrained, or the name of a fit's file
    #[arg(long = "law", value_name = "NAME", value_delimiter = ',')]
    pub(crate) laws: Vec<String>,
    /// Abilities judged in your own data: what `saltus judge --json` printed; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) judged: Vec<PathBuf>,
    /// Write a page: loss surfaces with lines of equal compute, the table, the abilities
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `70B`, `1.4T`, `5.76e23`. Whether it makes sense is asked later, where the sentence can say more.
fn number(text: &str) -> Result<f64, String> {
    let text = text.trim().replace('_', "");
    let unit = match text.chars().last().map(|c| c.to_ascii_uppercase()) {
        Some('K') => 1e3,
        Some('M') => 1e6,
        Some('B' | 'G') => 1e9,
        Some('T') => 1e12,
        _ => 1.0,
    };
    let digits = if unit == 1.0 { &text[..] } else { &text[..text.len() - 1] };
    let value: f64 = digits.parse().map_err(|_| "write a number such as 70B, 1.4T or 5.76e23".to_owned())?;
    Ok(value * unit)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_may_have_units() {
        let read = ["70B", "1.4T", "5.76e23", "400m", "1_000", "-1"].map(|text| number(text).unwrap());
        assert_eq!(read, [70e9, 1.4e12, 5.76e23, 400e6, 1000.0, -1.0]);
        assert!(number("NaN").unwrap().is_nan());
        assert!(["", "B", "many", "1e", "7é"].iter().all(|text| number(text).is_err()));
    }
}
