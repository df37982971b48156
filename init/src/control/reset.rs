//! `pintlectl factory-reset`.

use std::path::Path;

use pintle_update::{EntryName, EntryState, KeptPath, reset};
use rustix::fd::AsFd;

use super::entries::{roll_back, say_first};
use super::{Failure, refused};
use crate::store::{self, Machine};

/// What the command line asks for.
#[derive(Default, PartialEq, Debug)]
struct Wish {
    kept: Vec<KeptPath>,
    image: Image,
}

#[derive(Default, PartialEq, Debug)]
enum Image {
    /// The running one stays.
    #[default]
    Running,
    /// The one that the machine was shipped with.
    Shipped,
}

/// Wishes for a reset at the next boot, or takes the wish back.
pub(super) fn run(words: &[&str]) -> Result<String, Failure> {
    let state = store::open_directory(Path::new(store::STATE))?;
    if words == ["--cancel"] {
        reset::cancel(state.as_fd())?;
        return Ok("local changes stay\n".to_owned());
    }
    let wish = parse(words)?;
    match wish.image {
        Image::Running => say_first(&format!("{} boots next, with factory defaults", next()?))?,
        Image::Shipped => drop(roll_back(Some(&shipped()?.to_string()))?),
    }
    reset::request(state.as_fd(), &wish.kept)?;
    Ok(told(&wish.kept))
}

fn parse(mut words: &[&str]) -> Result<Wish, Failure> {
    let mut wish = Wish::default();
    loop {
        match *words {
            [] => return Ok(wish),
            ["--image", ref rest @ ..] => {
                wish.image = Image::Shipped;
                words = rest;
            }
            ["--keep", path, ref rest @ ..] => {
                wish.kept.push(path.parse().map_err(|cause| refused(&cause))?);
                words = rest;
            }
            [word, ..] => {
                return Err(Failure::Usage(format!("factory-reset: did not expect \"{word}\"")));
            }
        }
    }
}

fn told(kept: &[KeptPath]) -> String {
    let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
    let but =
        if kept.is_empty() { String::new() } else { format!(", but for {}", kept.join(", ")) };
    format!(
        "local changes in /etc and /var are thrown away at the next boot{but}; \
         pintlectl factory-reset --cancel takes that back, pintlectl reboot does it now\n"
    )
}

fn next() -> Result<EntryName, Failure> {
    let machine = Machine::here()?;
    let order = pintle_update::select(&machine.store.entries()?.entries, machine.store.floor()?);
    Ok(order.into_iter().next().unwrap_or(machine.running()?))
}

fn shipped() -> Result<EntryName, Failure> {
    let machine = Machine::here()?;
    let gone = |cause: &str| {
        Failure::Cause(format!(
            "pintlectl: cannot go back to the image that the machine was shipped with: {cause}"
        ))
    };
    let Some(sequence) = machine.store.trust()?.shipped else {
        return Err(gone(
            "nobody has noted which it was; pintlectl rollback ENTRY goes to any good one",
        ));
    };
    let entries = machine.store.entries()?.entries;
    let found = entries.into_iter().find(|entry| entry.sequence() == sequence);
    match found {
        Some(entry) if entry.state() == EntryState::Good => Ok(entry),
        Some(_) => Err(gone("it is not good any more")),
        None => Err(gone("it is not here any more; pintlectl pin keeps it on other machines")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_in_the_order_given() {
        let wish = parse(&["--keep", "/etc/ssh", "--image", "--keep", "/var/lib/x"]).ok().unwrap();
        let kept = ["/etc/ssh", "/var/lib/x"].map(|path| path.parse().unwrap());
        assert_eq!(wish, Wish { kept: kept.into(), image: Image::Shipped });
        for bad in [&["--keep"][..], &["--keep", "/usr"], &["--img"], &["--cancel", "--image"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
