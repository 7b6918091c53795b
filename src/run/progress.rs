//! How far a run is: a bar with the time left on a terminal, a line every tenth of the way in a
//! log.

use crate::terminal::text::plain;
use crate::terminal::{has_bars, say};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

pub struct Progress {
    bar: ProgressBar,
    tenths: Option<u64>,
}

impl Progress {
    pub fn new(name: &str, done: usize, total: usize) -> Self {
        let terminal = has_bars();
        let target =
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        Self::on(bar, terminal, name, done)
    }

    /// As [`Progress::new`], at `place` among the lines of `others`.
    pub fn among(
        others: &MultiProgress,
        place: usize,
        name: &str,
        done: usize,
        total: usize,
    ) -> Self {
        let terminal = has_bars();
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let bar = if terminal { others.insert(place, bar) } else { bar };
        Self::on(bar, terminal, name, done)
    }

    fn on(bar: ProgressBar, terminal: bool, name: &str, done: usize) -> Self {
        let bar = bar.with_position(done as u64);
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {eta:>4} left  {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        bar.set_prefix(plain(name));
        bar.reset_eta();
        Progress { bar, tenths: (!terminal).then_some(0) }
    }

    pub fn under_way(&self, id: &str) {
        self.bar.set_message(plain(id));
    }

    pub fn advance(&mut self) {
        self.bar.inc(1);
        self.say_tenths();
    }

    pub fn advance_to(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        self.say_tenths();
    }

    pub fn add_trials(&mut self, count: usize) {
        self.bar.inc_length(count as u64);
    }

    pub fn drop_trials(&mut self, count: usize) {
        let total = self.bar.length().unwrap_or(0);
        self.bar.set_length(total.saturating_sub(count as u64));
        self.say_tenths();
    }

    pub fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say_tenths(&mut self) {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0).max(1));
        if let Some(said) = &mut self.tenths
            && done * 10 / total > *said
        {
            *said = done * 10 / total;
            let (name, left) = (self.bar.prefix(), HumanDuration(self.bar.eta()));
            say(&format!("{name}: {} % ({done} of {total} trials), {left} left", *said * 10));
        }
    }
}
