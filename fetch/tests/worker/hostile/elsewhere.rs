//! Registries that name another host. It gets none of the registry's secrets: [`super::hosts`] looks at each row.

use pintle_update::worker::Outlook::WillNot;

use super::Row;
use super::Step::{Frames, Index, Token, Tree};
use super::Then;
use super::Wanted::{Check, Fetch};
use super::answers::{harmless, row};
use super::most::RELEASE;
use super::shelf::{PASSWORD, TOKEN, Talk};

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("a foreign realm", (Check, Index), foreign_realm, ("not authorized", WillNot)),
        harmless("a blob elsewhere", (Fetch, Tree), once_asked).asks(5).takes(RELEASE),
        harmless("a blob elsewhere, for a password", (Fetch, Tree), for_password)
            .asks(6)
            .takes(RELEASE),
        harmless("a blob elsewhere, for a token", (Fetch, Frames), for_token)
            .asks(8)
            .takes(RELEASE),
        harmless("a token elsewhere", (Check, Token), for_password).asks(6),
        row(
            "a blob elsewhere, for a password there",
            (Fetch, Tree),
            |t| if t.is_elsewhere() { t.wants_a_password() } else { t.sends_elsewhere() },
            ("another host wants to know who we are", WillNot),
        )
        .asks(3),
        row(
            "a blob elsewhere, for one password after the other",
            (Fetch, Tree),
            |t| if t.is_elsewhere() { t.wants_a_password() } else { for_password(t) },
            ("not authorized", WillNot),
        )
        .asks(4),
    ]
}

fn foreign_realm(talk: &mut Talk<'_>) -> Then {
    let realm = format!("http://{}/token", talk.elsewhere);
    talk.challenges(&realm)
}

fn once_asked(talk: &mut Talk<'_>) -> Then {
    if talk.is_elsewhere() { talk.answers_right() } else { talk.sends_elsewhere() }
}

fn for_password(talk: &mut Talk<'_>) -> Then {
    match talk.is_elsewhere() || talk.is_told(PASSWORD) {
        true => once_asked(talk),
        false => talk.wants_a_password(),
    }
}

fn for_token(talk: &mut Talk<'_>) -> Then {
    match talk.is_elsewhere() || talk.is_told(TOKEN) {
        true => once_asked(talk),
        false => talk.wants_a_token(),
    }
}
