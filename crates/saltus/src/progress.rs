//! Progress of a run: a bar with the time left on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use saltus_study::Event;
use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Without a terminal, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(15);

pub(crate) struct Progress {
    bar: ProgressBar,
    /// Phase and time of the last plain line, where there is no terminal.
    lines: Option<Mutex<(String, Instant)>>,
    quiet: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(PARTS), target);
        let style =
            ProgressStyle::with_template("{prefix:9} {bar:32} {percent:>3}%  {elapsed} so far, {eta} left  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let lines = (!terminal && !quiet).then(|| Mutex::new((String::new(), Instant::now())));
        Progress { bar, lines, quiet }
    }

    pub(crate) fn show(&self, event: Event) {
        match event {
            Event::Progress { phase, share, detail } => {
                if self.bar.prefix() != phase {
                    self.bar.reset();
                    self.bar.set_prefix(phase);
                }
                self.bar.set_position((share * PARTS as f64) as u64);
                self.line(phase, share, &detail);
                self.bar.set_message(detail);
            }
            Event::Warning(text) if !self.quiet => self.bar.suspend(|| eprintln!("warning: {text}")),
            Event::Warning(_) => {}
        }
    }

    fn line(&self, phase: &str, share: f64, detail: &str) {
        let Some(Ok(mut last)) = self.lines.as_ref().map(Mutex::lock) else { return };
        let now = Instant::now();
        if last.0 != phase || now - last.1 > LINE_EVERY {
            let left = self.bar.eta().as_secs();
            let left = if share > 0.02 { format!(", about {left} s left") } else { String::new() };
            eprintln!("{phase}: {:.0}%{left}  {detail}", share * 100.0);
            *last = (phase.to_string(), now);
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The bar counts thousandths of a phase.
const PARTS: u64 = 1000;
