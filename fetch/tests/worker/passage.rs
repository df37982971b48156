//! A TCP proxy that does something when a certain byte has passed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::server::{Peer, Server};

/// Counts what comes down, of all connections together.
pub(crate) struct Passage {
    server: Server,
    passed: Arc<AtomicU64>,
    at_the_gate: Receiver<()>,
}

/// What happens after so many bytes.
#[derive(Clone, Copy)]
pub(crate) enum Gate {
    /// Nothing, ever.
    Open,
    /// The connection is cut; later ones live.
    CutsAt(u64),
    /// No byte passes any more, and [`Passage::wait_at_the_gate`] returns.
    HoldsAt(u64),
}

impl Passage {
    /// In front of a registry.
    pub(crate) fn to(host: String, gate: Gate) -> Self {
        let passed = Arc::<AtomicU64>::default();
        let (tell, at_the_gate) = channel();
        let pump = Pump { passed: Arc::clone(&passed), gate, tell: Mutex::new(tell) };
        let server = Server::start(move |peer: Peer| pump.connect(&peer.stream, &host));
        Self { server, passed, at_the_gate }
    }

    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// Bytes so far, headers and all.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_at_the_gate(&self) {
        self.at_the_gate.recv().unwrap();
    }
}

struct Pump {
    passed: Arc<AtomicU64>,
    gate: Gate,
    tell: Mutex<Sender<()>>,
}

impl Pump {
    fn connect(&self, client: &TcpStream, host: &str) {
        let server = TcpStream::connect(host).unwrap();
        let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let upwards = thread::spawn(move || std::io::copy(&mut &up.0, &mut &up.1));
        self.down(&server, client);
        for stream in [&server, client] {
            // It may be gone.
            drop(stream.shutdown(Shutdown::Both));
        }
        // It ends with the connections, well or not.
        drop(upwards.join().unwrap());
    }

    fn down(&self, mut server: &TcpStream, mut client: &TcpStream) {
        let mut buffer = [0; 4096];
        loop {
            let most = self.left().min(buffer.len() as u64) as usize;
            match server.read(&mut buffer[..most]) {
                Ok(read) if read > 0 && client.write_all(&buffer[..read]).is_ok() => {
                    self.passed.fetch_add(read as u64, Ordering::SeqCst);
                }
                _ => return,
            }
            match self.gate {
                Gate::CutsAt(at) if at == self.passed.load(Ordering::SeqCst) => return,
                Gate::HoldsAt(at) if at == self.passed.load(Ordering::SeqCst) => {
                    self.tell.lock().unwrap().send(()).unwrap();
                    // Until the client is gone: it has nothing to say.
                    drop(client.peek(&mut [0]));
                    return;
                }
                _ => {}
            }
        }
    }

    /// Until the gate.
    fn left(&self) -> u64 {
        let passed = self.passed.load(Ordering::SeqCst);
        match self.gate {
            Gate::CutsAt(at) | Gate::HoldsAt(at) if passed < at => at - passed,
            _ => u64::MAX,
        }
    }
}
