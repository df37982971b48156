//! What host and guest say to each other over the virtio port: postcard frames, a question and its answer.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::walk::Node;

/// The name of the agent's virtio port.
pub const PORT: &str = "org.pintle.agent";

/// The longest frame: the walk of a Debian tree takes about 2 MiB, a file read whole may take more.
pub const FRAME_MAX: usize = 64 << 20;

/// A question or its answer, by the same number. What is left of a question that nobody waited for is so told apart.
#[derive(Debug, Serialize, Deserialize)]
pub struct Frame<T> {
    /// The question's number.
    pub number: u64,
    /// What is said.
    pub content: T,
}

/// What the host asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Run a program to its end; its first word is its path.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// What it reads.
        stdin: Vec<u8>,
    },
    /// List a tree with hashes.
    Walk(String),
    /// Read a file or a block device.
    Read {
        /// The file's path.
        path: String,
        /// Where to begin, in bytes.
        offset: u64,
        /// How many bytes at most.
        length: u64,
    },
    /// Write into a file or a block device, which is made if need be and not truncated, and sync it.
    Write {
        /// The file's path.
        path: String,
        /// Where to begin, in bytes.
        offset: u64,
        /// What to write.
        data: Vec<u8>,
    },
}

/// What the guest answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Run`].
    Ran(Output),
    /// To [`Request::Walk`].
    Walked(Vec<Node>),
    /// To [`Request::Read`].
    Data(Vec<u8>),
    /// To [`Request::Write`].
    Written,
    /// To any request that could not be carried out: why.
    Failed(String),
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Exit status, or 128 and the signal, as a shell counts.
    pub status: i32,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// The host's end of the port.
#[derive(Debug)]
pub struct Agent<S> {
    port: S,
    asked: u64,
}

impl<S: Read + Write> Agent<S> {
    /// An agent behind `port`.
    pub fn new(port: S) -> Agent<S> {
        Agent { port, asked: 0 }
    }

    /// Runs a program in the guest to its end.
    pub fn run(&mut self, argv: &[&str], stdin: &[u8]) -> Result<Output> {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        match self.ask(&Request::Run { argv, stdin: stdin.to_owned() })? {
            Answer::Ran(output) => Ok(output),
            other => refuse(other),
        }
    }

    /// Lists a tree of the guest.
    pub fn walk(&mut self, root: &str) -> Result<Vec<Node>> {
        match self.ask(&Request::Walk(root.to_owned()))? {
            Answer::Walked(nodes) => Ok(nodes),
            other => refuse(other),
        }
    }

    /// Reads at most `length` bytes of a file or block device of the guest.
    pub fn read(&mut self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        match self.ask(&Request::Read { path: path.to_owned(), offset, length })? {
            Answer::Data(data) => Ok(data),
            other => refuse(other),
        }
    }

    /// Writes into a file or block device of the guest.
    pub fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> Result<()> {
        let (path, data) = (path.to_owned(), data.to_owned());
        match self.ask(&Request::Write { path, offset, data })? {
            Answer::Written => Ok(()),
            other => refuse(other),
        }
    }

    /// Has a program run in the guest, and does not wait: the guest may be gone before it ends.
    pub fn order(&mut self, argv: &[&str]) -> Result<()> {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        self.send(&Request::Run { argv, stdin: Vec::new() })
    }

    fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.send(request)?;
        loop {
            let answer: Frame<Answer> = receive(&mut self.port)?;
            if answer.number == self.asked {
                return Ok(answer.content);
            }
        }
    }

    fn send(&mut self, content: &Request) -> Result<()> {
        self.asked += 1;
        send(&mut self.port, &Frame { number: self.asked, content })
    }
}

/// Sends one frame: a little-endian u32 length and that many bytes of postcard.
pub fn send(port: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let frame = postcard::to_allocvec(message).context("cannot encode a frame")?;
    ensure!(frame.len() <= FRAME_MAX, "cannot send a frame of {} bytes: too long", frame.len());
    let length = u32::try_from(frame.len())?.to_le_bytes();
    port.write_all(&length).and_then(|()| port.write_all(&frame)).context("cannot send a frame")
}

/// Receives one frame.
pub fn receive<T: DeserializeOwned>(port: &mut impl Read) -> Result<T> {
    let mut length = [0; 4];
    port.read_exact(&mut length).context("cannot receive a frame")?;
    let length = usize::try_from(u32::from_le_bytes(length))?;
    ensure!(length <= FRAME_MAX, "cannot receive a frame of {length} bytes: too long");
    let mut frame = vec![0; length];
    port.read_exact(&mut frame).context("cannot receive a frame")?;
    postcard::from_bytes(&frame).context("cannot decode a frame")
}

fn refuse<T>(answer: Answer) -> Result<T> {
    match answer {
        Answer::Failed(reason) => bail!("the agent: {reason}"),
        other => bail!("the agent answered another question: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_arrives_as_it_was_sent() {
        let mut wire = Vec::new();
        send(&mut wire, &Frame { number: 7, content: Request::Walk("/etc".into()) }).unwrap();
        let frame: Frame<Request> = receive(&mut wire.as_slice()).unwrap();
        assert!(
            matches!(frame, Frame { number: 7, content: Request::Walk(path) } if path == "/etc")
        );
    }

    /// A port whose answers are there before anything is asked.
    struct Port<'a>(&'a [u8]);

    impl Read for Port<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Port<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_that_nobody_waited_for_is_passed_over() {
        let mut answers = Vec::new();
        send(&mut answers, &Frame { number: 1, content: Answer::Written }).unwrap();
        send(&mut answers, &Frame { number: 2, content: Answer::Data(b"x".to_vec()) }).unwrap();
        let mut agent = Agent::new(Port(&answers));
        agent.order(&["reboot"]).unwrap();
        assert_eq!(agent.read("/x", 0, 1).unwrap(), b"x");
    }

    #[test]
    fn a_frame_that_lies_about_its_length_is_refused() {
        let error = receive::<Request>(&mut [0xff; 8].as_slice()).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}
