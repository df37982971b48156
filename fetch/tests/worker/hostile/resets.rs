//! Connections that end with a reset.

use pintle_update::worker::Outlook::MayPass;

use super::Row;
use super::Step::{Frames, Index};
use super::Then::{self, Reset};
use super::Wanted::{Check, Fetch};
use super::answers::{harmless, row};
use super::most::{RELEASE, TRIES, UNREAD};
use super::shelf::Talk;

/// More than makes tries count anew, with what a reset throws away.
const MUCH: usize = 400_000;

/// As [`MUCH`] goes into the image's frames.
const RESETS: usize = 3;

pub(super) fn rows() -> Vec<Row> {
    let reset = ("connection cut: Connection reset by peer", MayPass);
    vec![
        row("a reset before any answer", (Check, Index), |_| Reset, reset).asks(TRIES),
        row("a reset within the headers", (Check, Index), within_headers, reset).asks(TRIES),
        row("a reset within an index", (Check, Index), |t| within_body(t, 100), reset).asks(TRIES),
        row("a reset within an index of no length", (Check, Index), without_length, reset)
            .asks(TRIES),
        row("a reset within the headers of a blob", (Fetch, Frames), within_headers, reset)
            .asks(2 + TRIES),
        row("a reset within a blob", (Fetch, Frames), |t| within_body(t, 1), reset).asks(2 + TRIES),
        harmless("a reset after much of a blob", (Fetch, Frames), |t| within_body(t, MUCH))
            .asks(4 + RESETS)
            .takes(RELEASE + RESETS as u64 * UNREAD),
        harmless("a reset after each answer", (Check, Index), after_answer).asks(3 + 2),
    ]
}

fn within_headers(talk: &mut Talk<'_>) -> Then {
    talk.say("HTTP/1.1 200 OK\r\nContent-Le");
    Reset
}

/// After so many bytes of the body; a shorter one is given whole.
fn within_body(talk: &mut Talk<'_>, bytes: usize) -> Then {
    let range = talk.range().unwrap_or(0..talk.right.len());
    if range.len() <= bytes {
        return talk.answers_right();
    }
    let (head, length, media_type) = (talk.head_of_answer(), range.len(), talk.media_type);
    talk.say(format!("{head}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"));
    talk.say(&talk.right[range.start..][..bytes]);
    Reset
}

/// What came looks like all of it.
fn without_length(talk: &mut Talk<'_>) -> Then {
    let (media_type, half) = (talk.media_type, talk.right.len() / 2);
    talk.say(format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n\r\n"));
    talk.say(&talk.right[..half]);
    Reset
}

fn after_answer(talk: &mut Talk<'_>) -> Then {
    talk.answers_right();
    Reset
}
