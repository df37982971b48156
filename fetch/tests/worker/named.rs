//! A registry with a name, which the worker has to look up from inside.

use std::net::UdpSocket;
use std::thread;

use pintle_update::worker::Said;

use crate::network;
use crate::published::{Published, prepared};
use crate::support::{image, release};

/// RFC 1035, 4.1.1: an answer to a question, by whom recursion is available.
const ANSWER: [u8; 2] = [0x81, 0x80];

/// A question for an IPv4 address ends with this type and class.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// The name of the question by a pointer, an IPv4 address for a minute: 127.0.0.1.
const LOCALHOST: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1];

#[test]
fn a_registry_is_found_by_its_name() {
    network::enter();
    let server = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || serve(&server));
    let published = Published::new(release(image(1..=100)));
    let machine = prepared(&published.release, &[]);
    let port = published.host().rsplit(':').next().unwrap().to_owned();
    let host = format!("registry.example.com:{port}");
    let heard = published.fetch_named(&machine, &host, b"nameserver 127.0.0.1\n").hear();
    published.is_fetched(&machine, &heard);
    let nowhere = published.fetch_named(&machine, &host, b"nameserver 127.0.0.2\n").hear();
    let Some(Said::Failed(failed)) = nowhere.last() else { panic!("{nowhere:?}") };
    assert!(failed.text.contains("cannot resolve registry.example.com"), "{failed:?}");
}

/// Every name is this machine's.
fn serve(server: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut buffer) {
        let end = 12 + buffer[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
        let records = u8::from(buffer[end - 4..end] == A_IN);
        let head = [&buffer[..2], &ANSWER, &[0, 1, 0, records, 0, 0, 0, 0]].concat();
        let records = if records == 1 { &LOCALHOST[..] } else { &[] };
        server.send_to(&[&head, &buffer[12..end], records].concat(), from).unwrap();
    }
}
