//! Tags that move between a check and the fetch of what it found.

use pintle_update::worker::Outlook::WillNot;

use super::Row;
use super::Step::{Index, Manifest};
use super::Then;
use super::Wanted::CheckThenFetch;
use super::answers::{harmless, row};
use super::most::{DOCUMENTS, RELEASE};
use super::shelf::{Talk, index_of};

pub(super) fn rows() -> Vec<Row> {
    vec![
        // What was found is fetched, and the tag is not asked for again.
        harmless("moved tag", (CheckThenFetch, Index), moved)
            .asks(3 + 4)
            .takes(DOCUMENTS + RELEASE),
        row(
            "moved tag, and what it named is gone",
            (CheckThenFetch, Manifest),
            |t| if t.before == 0 { t.answers_right() } else { t.answer("404 Not Found", "", b"") },
            ("status 404", WillNot),
        )
        .asks(3 + 1),
    ]
}

fn moved(talk: &mut Talk<'_>) -> Then {
    let media_type = talk.media_type;
    match talk.before {
        0 => talk.answers_right(),
        _ => talk.answer_as(media_type, &index_of(b"another release")),
    }
}
