//! How far a command has come, for whoever sits at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pintle_image::erofs::format::BLOCK;

/// Whether a command shows how far it has come.
#[derive(clap::Args)]
pub(crate) struct Quiet {
    /// Show no progress.
    #[arg(short, long)]
    quiet: bool,
}

/// A line on standard error, gone when dropped; nothing where that is no terminal.
pub(crate) struct Progress(ProgressBar);

impl Quiet {
    /// Begins with what is being done and no end in sight.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        let target = match self.quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style("{spinner} {msg} {decimal_bytes}"));
        bar.set_message(what);
        Progress(bar)
    }
}

impl Progress {
    /// Goes on to something that ends after `blocks`.
    pub(crate) fn begin(&self, what: &'static str, blocks: u64) {
        self.0.set_style(style(
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}",
        ));
        self.0.set_message(what);
        self.0.set_position(0);
        self.0.set_length(blocks * BLOCK);
    }

    /// So many more blocks are done.
    pub(crate) fn done(&self, blocks: u64) {
        self.0.inc(blocks * BLOCK);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}
