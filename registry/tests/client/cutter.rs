//! A TCP proxy that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::server::{Peer, Server};

/// Which bytes are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// In front of `host`: each connection takes the next number of `cuts` and ends after so many bytes that
/// way; when there are none left, connections live.
pub(crate) fn start(host: String, way: Way, cuts: Vec<usize>) -> Server {
    let cuts = Mutex::new(cuts.into_iter());
    Server::start(move |peer: Peer| {
        let cut = cuts.lock().unwrap().next().unwrap_or(usize::MAX);
        let server = Arc::new(TcpStream::connect(&host).unwrap());
        let client = Arc::new(peer.stream);
        let (up, down) = if way == Way::Up { (cut, usize::MAX) } else { (usize::MAX, cut) };
        let upwards = (Arc::clone(&client), Arc::clone(&server));
        let thread = thread::spawn(move || pump(&upwards.0, &upwards.1, up));
        pump(&server, &client, down);
        thread.join().unwrap();
    })
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, mut left: usize) {
    let mut buffer = [0; 8192];
    while left > 0 {
        let wanted = left.min(buffer.len());
        match from.read(&mut buffer[..wanted]) {
            Ok(read) if read > 0 && to.write_all(&buffer[..read]).is_ok() => left -= read,
            _ => break,
        }
    }
    for stream in [from, to] {
        // It may be gone.
        drop(stream.shutdown(Shutdown::Both));
    }
}
