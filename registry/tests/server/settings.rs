//! Settings for servers on this machine.

use std::time::Duration;

use pintle_registry::{Client, Limits, Reference, Settings};

/// Without TLS, and with delays that cost no time.
pub(crate) fn plain(hosts: &[&str]) -> Settings {
    let plain = hosts.iter().map(|host| (*host).to_owned()).collect();
    Settings { plain, limits: quick(), ..Settings::default() }
}

pub(crate) fn quick() -> Limits {
    let millis = Duration::from_millis;
    Limits { first_delay: millis(1), longest_delay: millis(4), ..Limits::default() }
}

pub(crate) fn client(settings: Settings) -> Client {
    Client::new(settings).unwrap()
}

pub(crate) fn reference(host: &str, rest: &str) -> Reference {
    format!("{host}/{rest}").parse().unwrap()
}
