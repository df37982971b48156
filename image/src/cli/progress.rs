//! How far a command has come, for whoever sits at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pintle_image::progress::{Phase, Progress};

/// Whether a command shows how far it has come, and what else one should know.
#[derive(clap::Args)]
pub(crate) struct Quiet {
    /// Show no progress and no notes.
    #[arg(short, long)]
    quiet: bool,
}

impl Quiet {
    pub(crate) fn progress(&self) -> Bar {
        Bar(ProgressBar::with_draw_target(
            None,
            match self.quiet {
                true => ProgressDrawTarget::hidden(),
                false => ProgressDrawTarget::stderr(),
            },
        ))
    }

    /// Writes a line on standard error that is no complaint.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("note: {text}");
        }
    }
}

/// A line on standard error, gone when dropped; nothing where that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Progress for Bar {
    fn begin(&self, phase: Phase, total: Option<u64>) {
        self.0.reset();
        self.0.set_style(style(phase, total));
        self.0.set_message(name(phase));
        match total {
            Some(total) => self.0.set_length(total),
            None => self.0.unset_length(),
        }
    }

    fn advance(&self, amount: u64) {
        self.0.inc(amount);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Layers => "unpacking layers",
        Phase::Merge => "merging layers",
        Phase::Directory => "reading files",
        Phase::Write => "writing image",
        Phase::Hash => "checking image",
        Phase::Fetch => "fetching",
        Phase::Compress => "compressing",
        Phase::Delta => "making delta",
        Phase::Push => "pushing",
    }
}

fn style(phase: Phase, total: Option<u64>) -> ProgressStyle {
    let template = match (phase, total) {
        (Phase::Merge, _) => "{msg:17} {wide_bar} {pos}/{len}",
        (_, Some(_)) => "{msg:17} {wide_bar} {binary_bytes}/{binary_total_bytes}",
        (_, None) => "{msg:17} {binary_bytes}",
    };
    ProgressStyle::with_template(template).expect("templates are constants")
}
