//! A server of the test's own, on a free port: each connection is given to one function.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Runs until it is dropped.
pub(crate) struct Server {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    listener: Option<JoinHandle<()>>,
}

/// One connection, as the server sees it.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// How many connections there were before.
    pub(crate) number: usize,
    /// The server's host and port.
    pub(crate) host: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(serve: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", serve)
    }

    /// At another address.
    pub(crate) fn start_at(address: &str, serve: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let at = listener.local_addr().unwrap();
        let parts = Parts::default();
        let (stop, heads, connections) = parts.clone();
        let listener = thread::spawn(move || accept(&listener, &parts, &Arc::new(serve)));
        Self { at, stop, heads, connections, listener: Some(listener) }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.at.to_string()
    }

    /// How many there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at));
        self.listener.take().unwrap().join().unwrap();
    }
}

type Parts = (Arc<AtomicBool>, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

fn accept<F>(listener: &TcpListener, (stop, heads, connections): &Parts, serve: &Arc<F>)
where
    F: Fn(Peer) + Send + Sync + 'static,
{
    for (number, stream) in listener.incoming().enumerate() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        connections.fetch_add(1, Ordering::SeqCst);
        let host = listener.local_addr().unwrap().to_string();
        let (serve, heads) = (Arc::clone(serve), Arc::clone(heads));
        thread::spawn(move || serve(Peer { stream: stream.unwrap(), number, host, heads }));
    }
}

impl Peer {
    /// Reads a request up to its empty line; `None` if there is none.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Writes, and whether that went well.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Answers all requests alike.
    pub(crate) fn answer(&mut self, answer: impl AsRef<[u8]>) {
        while self.request().is_some() && self.say(answer.as_ref()) {}
    }

    /// Answers one request and closes.
    pub(crate) fn once(&mut self, answer: impl AsRef<[u8]>) {
        self.request();
        self.say(answer);
    }

    /// Writes `bytes` until nobody reads them.
    pub(crate) fn flood(&mut self, bytes: &str) {
        let many = bytes.repeat(1 + 4096 / bytes.len());
        while self.say(&many) {}
    }

    /// Says nothing until the other side goes.
    pub(crate) fn stall(&mut self) {
        drop(io::copy(&mut self.stream, &mut io::sink()));
    }

    /// Closes with a reset: what was sent here is not read.
    pub(crate) fn reset(self, answer: &str) {
        let mut byte = [0];
        drop(self.stream.peek(&mut byte));
        drop((&self.stream).write_all(answer.as_bytes()));
    }
}

/// An answer with its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}
