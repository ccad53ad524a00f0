//! Prints how often the intervals hold the truth, and how often the paired test rejects it:
//! `cargo run --release -p saltus-stats --example coverage [TRIALS]`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{CLUSTERINGS, Clustering, Truth, UNIT};
use common::{coverage, grades_coverage, naive_coverage, power_at_the_detectable, rejections, unequal_coverage};

const SIZES: [usize; 4] = [10, 50, 200, 1000];

fn main() {
    let trials = std::env::args().nth(1).and_then(|t| t.parse().ok()).unwrap_or(4000);
    println!("coverage of 95% intervals of a proportion, {trials} samples a cell, n = {SIZES:?}");
    for clustering in CLUSTERINGS {
        for p in [0.0, 0.02, 0.3, 0.5, 0.98] {
            line(&format!("p {p}"), clustering, |n| coverage(p, n, clustering, trials));
        }
    }
    for p in [0.02, 0.3, 0.5] {
        line(&format!("p {p}, clusters ignored"), CLUSTERINGS[4], |n| naive_coverage(p, n, CLUSTERINGS[4], trials));
    }
    println!("\nrejections of equality at .05 (truth: no difference), n = {SIZES:?}");
    for clustering in CLUSTERINGS {
        for differ in [0.02, 0.1, 0.3] {
            let truth = Truth { differ, better: 0.5 };
            line(&format!("differ {differ}"), clustering, |n| rejections(truth, n, clustering, trials).map(|r| r.0));
        }
    }
    println!("\ncoverage of 95% intervals of a difference, n = {SIZES:?}");
    for clustering in CLUSTERINGS {
        for (differ, better) in [(0.02, 0.5), (0.1, 0.5), (0.3, 0.5), (0.1, 0.9), (0.3, 0.8)] {
            let truth = Truth { differ, better };
            let name = format!("differ {differ} better {better}");
            line(&name, clustering, |n| rejections(truth, n, clustering, trials).map(|r| r.1));
        }
    }
    println!("\npower at the effect called detectable with .8, n = {SIZES:?}");
    for clustering in CLUSTERINGS {
        for differ in [0.1, 0.3, 0.5] {
            let power = |n| power_at_the_detectable(differ, n, clustering, trials);
            // An effect that would need more items to differ than do is none.
            line(&format!("differ {differ}"), clustering, |n| {
                (n / clustering.size > 1).then(|| power(n)).filter(|(effect, _)| *effect < differ).map(|p| p.1)
            });
        }
    }
    println!("\ncoverage of grades, the given share of them above 0, n = {SIZES:?}: bounded, then by t alone");
    for some in [0.02, 0.1, 0.5] {
        for range in [UNIT, None] {
            line(&format!("share {some}"), CLUSTERINGS[0], |n| Some(grades_coverage(some, n, range, trials)));
        }
    }
    println!("\ncoverage with unequal clusters");
    for (name, sizes) in unequal() {
        for rho in [0.0, 0.3, 1.0] {
            println!("{name:44} rho {rho:3} {:.3}", unequal_coverage(&sizes, rho, trials));
        }
    }
}

fn unequal() -> [(&'static str, Vec<usize>); 3] {
    let geometric = (0..10).map(|i| 1 << i).collect();
    let one = [vec![100], vec![10; 10]].concat();
    [("1, 2, 4 .. 512", geometric), ("100 and ten of 10", one), ("10 to 40", (10..=40).collect())]
}

fn line(name: &str, clustering: Clustering, share: impl Fn(usize) -> Option<f64>) {
    let cells: Vec<String> =
        SIZES.iter().map(|&n| share(n).map_or_else(|| "   - ".to_owned(), |s| format!("{s:.3}"))).collect();
    println!("clusters of {:2} rho {:3} {name:24} {}", clustering.size, clustering.rho, cells.join("  "));
}
