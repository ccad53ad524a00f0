//! Progress while a model is asked: tokens read a second, and the time left.

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use saltus_benchmark::Event;
use saltus_lm::LanguageModel;
use std::{
    io::IsTerminal,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How often the bar is drawn.
pub(crate) const EVERY: Duration = Duration::from_millis(200);
/// Without a terminal, a line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Shows how far a model is with its questions; the work is measured in bytes of text.
pub(crate) struct Asking<'m> {
    bar: ProgressBar,
    terminal: bool,
    quiet: bool,
    model: &'m dyn LanguageModel,
    begun: Instant,
    read_before: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes of the parts that are done.
    done: usize,
    /// Bytes of the part at work.
    part: usize,
    /// Tokens that it will read, and those read before it.
    tokens: u64,
    before: u64,
    cell: String,
    line: Option<Instant>,
}

impl<'m> Asking<'m> {
    pub(crate) fn new(model: &'m dyn LanguageModel, name: &str, bytes: usize, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(bytes as u64), target);
        let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}%  {elapsed} so far, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.to_owned());
        let read_before = model.tokens_read();
        Asking { bar, terminal, quiet, model, begun: Instant::now(), read_before, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: Event<'_>, part_bytes: usize) {
        let mut state = self.state();
        match event {
            Event::Begins { cell, cost } => {
                state.part = part_bytes;
                state.tokens = cost.least + cost.generated_at_most;
                state.before = self.model.tokens_read();
                state.cell = format!("{}, {} shots", cell.name(), cell.shots);
            }
            Event::Done { bytes } => {
                state.done += bytes;
                state.part = 0;
            }
        }
    }

    /// Draws what is known now.
    pub(crate) fn draw(&self) {
        let mut state = self.state();
        let read = self.model.tokens_read();
        let share = (read - state.before) as f64 / state.tokens.max(1) as f64;
        let position = state.done + (state.part as f64 * share.min(1.0)) as usize;
        self.bar.set_position(position as u64);
        let seconds = self.begun.elapsed().as_secs_f64();
        let speed = (read - self.read_before) as f64 / seconds.max(1e-3);
        // By the whole of what is done: parts take unequally long, and the last ones alone would mislead.
        let (all, done) = (self.bar.length().unwrap_or(1).max(1) as f64, position as f64);
        let left =
            Duration::from_secs_f64(if done > 0.01 * all { seconds * (all - done).max(0.0) / done } else { 0.0 });
        let left = if done > 0.01 * all { format!("{} left  ", HumanDuration(left)) } else { String::new() };
        let message = format!("{left}{} tokens/s  {}", HumanCount(speed as u64), state.cell);
        let since = state.line.unwrap_or(self.begun).elapsed();
        if !self.terminal && !self.quiet && since > LINE_EVERY && !state.cell.is_empty() {
            eprintln!("{}: {:.0}%  {message}", self.bar.prefix(), 100.0 * done / all);
            state.line = Some(Instant::now());
        }
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
