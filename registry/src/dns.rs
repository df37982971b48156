//! DNS messages: the questions that are asked, and what is believed of an answer (RFC 1035, RFC 3596).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4.
    A,
    /// IPv6.
    Aaaa,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    name: Name,
    kind: Kind,
}

/// What an answer to a question says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// These addresses; at least one, at most [`MAX_ADDRESSES`].
    Addresses(Vec<IpAddr>),
    /// Ask for this name instead.
    Alias(String),
    /// The name has no addresses of this kind.
    NoAddress,
    /// There is no such name.
    NoSuchName,
    /// It did not fit a datagram.
    Truncated,
    /// The server cannot say, or says nonsense.
    Failed(String),
}

/// What is not the answer to the question: somebody else's, or somebody's guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign;

/// Of one kind; more are no help when these cannot be reached.
pub const MAX_ADDRESSES: usize = 8;
/// Aliases of aliases. Large sites need three.
const MAX_ALIASES: usize = 8;
/// Records in one answer; more fit no datagram of [`DATAGRAM`] bytes.
const MAX_RECORDS: u16 = 256;
/// The size that survives without fragments: DNS Flag Day 2020.
pub const DATAGRAM: u16 = 1232;

impl Question {
    /// Asks for the addresses of `name`; `None` if it cannot be a name in DNS.
    pub fn new(name: &str, kind: Kind) -> Option<Self> {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        Some(Self { name, kind })
    }

    /// The message that asks, with this id.
    pub fn message(&self, id: u16) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.kind.record()));
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM);
        message.set_edns(edns);
        message.to_vec().ok()
    }

    /// What `bytes` say, if they are an answer to the message with this id.
    ///
    /// # Errors
    /// [`Foreign`] if they are not, or are no message at all.
    pub fn reply(&self, id: u16, bytes: &[u8]) -> Result<Reply, Foreign> {
        are_few(bytes)?;
        let message = Message::from_vec(bytes).map_err(|_| Foreign)?;
        let header = &message.metadata;
        let ours = header.id == id
            && header.message_type == MessageType::Response
            && header.op_code == OpCode::Query
            && message.queries.iter().all(|query| self.is_asked_by(query));
        if !ours {
            return Err(Foreign);
        }
        if header.truncation {
            return Ok(Reply::Truncated);
        }
        Ok(match header.response_code {
            ResponseCode::NoError => self.answer(&message.answers),
            ResponseCode::NXDomain => Reply::NoSuchName,
            code => Reply::Failed(code.to_str().to_owned()),
        })
    }

    fn is_asked_by(&self, query: &Query) -> bool {
        *query.name() == self.name
            && query.query_type() == self.kind.record()
            && query.query_class() == DNSClass::IN
    }

    /// Follows the aliases from the name that was asked for; what stands beside them is not believed.
    fn answer(&self, answers: &[Record]) -> Reply {
        let mut name = &self.name;
        for _ in 0..=MAX_ALIASES {
            let addresses: Vec<_> = self.addresses(name, answers).take(MAX_ADDRESSES).collect();
            if !addresses.is_empty() {
                return Reply::Addresses(addresses);
            }
            match alias(name, answers) {
                Some(next) => name = next,
                None if name == &self.name => return Reply::NoAddress,
                None => return Reply::Alias(name.to_ascii()),
            }
        }
        Reply::Failed("a chain of aliases without an end".to_owned())
    }

    fn addresses(&self, name: &Name, answers: &[Record]) -> impl Iterator<Item = IpAddr> {
        let ours = answers.iter().filter(move |record| is_of(record, name));
        ours.filter_map(|record| match (&record.data, self.kind) {
            (RData::A(a), Kind::A) => Some(IpAddr::V4(Ipv4Addr::from(a.octets()))),
            (RData::AAAA(aaaa), Kind::Aaaa) => Some(IpAddr::V6(Ipv6Addr::from(aaaa.octets()))),
            _ => None,
        })
    }
}

impl Kind {
    fn record(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
        }
    }
}

fn alias<'r>(name: &Name, answers: &'r [Record]) -> Option<&'r Name> {
    answers.iter().filter(|record| is_of(record, name)).find_map(|record| match &record.data {
        RData::CNAME(alias) => Some(&alias.0),
        _ => None,
    })
}

fn is_of(record: &Record, name: &Name) -> bool {
    record.name == *name && record.dns_class == DNSClass::IN
}

/// The header's counts are believed before there is anything to count.
fn are_few(bytes: &[u8]) -> Result<(), Foreign> {
    let count = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let counts = [4, 6, 8, 10].map(|at| count(at).unwrap_or(u16::MAX));
    let [questions, records @ ..] = counts;
    let few = questions == 1 && records.iter().all(|count| *count <= MAX_RECORDS);
    if few { Ok(()) } else { Err(Foreign) }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn question() -> Question {
        Question::new("example.com", Kind::A).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, last: u8) -> Record {
        Record::from_rdata(name(owner), 60, RData::A(A::new(192, 0, 2, last)))
    }

    fn cname(owner: &str, to: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(to))))
    }

    fn reply(change: impl FnOnce(&mut Message)) -> Result<Reply, Foreign> {
        let asked = Message::from_vec(&question().message(7).unwrap()).unwrap();
        let mut message = asked.into_response();
        change(&mut message);
        question().reply(7, &message.to_vec().unwrap())
    }

    fn answers(records: Vec<Record>) -> Result<Reply, Foreign> {
        reply(|message| {
            message.add_answers(records);
        })
    }

    fn addresses(last: &[u8]) -> Result<Reply, Foreign> {
        Ok(Reply::Addresses(last.iter().map(|last| IpAddr::from([192, 0, 2, *last])).collect()))
    }

    #[test]
    fn addresses_are_found_through_aliases() {
        assert_eq!(answers(vec![a("example.com.", 1), a("EXAMPLE.com.", 2)]), addresses(&[1, 2]));
        let chain = vec![
            a("c.example.", 3),
            cname("b.example.", "c.example."),
            cname("example.com.", "b.example."),
        ];
        assert_eq!(answers(chain), addresses(&[3]));
        assert_eq!(
            answers(vec![cname("example.com.", "b.example.")]),
            Ok(Reply::Alias("b.example.".to_owned()))
        );
    }

    #[test]
    fn records_of_other_names_and_kinds_are_not_believed() {
        assert_eq!(answers(vec![a("example.org.", 1)]), Ok(Reply::NoAddress));
        let six = Record::from_rdata(
            name("example.com."),
            60,
            RData::AAAA(AAAA::new(1, 0, 0, 0, 0, 0, 0, 1)),
        );
        assert_eq!(answers(vec![six]), Ok(Reply::NoAddress));
        let many = (0..=255).map(|last| a("example.com.", last)).collect();
        assert!(
            matches!(answers(many), Ok(Reply::Addresses(found)) if found.len() == MAX_ADDRESSES)
        );
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let ring = vec![cname("example.com.", "b.example."), cname("b.example.", "example.com.")];
        assert!(matches!(answers(ring), Ok(Reply::Failed(_))));
        assert!(matches!(
            answers(vec![cname("example.com.", "example.com.")]),
            Ok(Reply::Failed(_))
        ));
    }

    #[test]
    fn what_servers_say_instead_of_an_answer() {
        let code = |code| reply(|message| message.metadata.response_code = code);
        assert_eq!(code(ResponseCode::NXDomain), Ok(Reply::NoSuchName));
        assert!(matches!(code(ResponseCode::ServFail), Ok(Reply::Failed(_))));
        assert_eq!(reply(|message| message.metadata.truncation = true), Ok(Reply::Truncated));
        assert_eq!(answers(vec![]), Ok(Reply::NoAddress));
    }

    #[test]
    fn answers_to_other_questions_are_foreign() {
        assert_eq!(reply(|message| message.metadata.id = 8), Err(Foreign));
        assert_eq!(
            reply(|message| message.metadata.message_type = MessageType::Query),
            Err(Foreign)
        );
        assert_eq!(reply(|message| message.metadata.op_code = OpCode::Status), Err(Foreign));
        assert_eq!(reply(|message| message.queries.clear()), Err(Foreign));
        let other = |text, kind| {
            move |message: &mut Message| message.queries = vec![Query::query(name(text), kind)]
        };
        assert_eq!(reply(other("example.org.", RecordType::A)), Err(Foreign));
        assert_eq!(reply(other("example.com.", RecordType::AAAA)), Err(Foreign));
    }

    #[test]
    fn bytes_that_are_no_message_are_foreign() {
        let good = question().message(7).unwrap();
        // A name that points at itself, at byte 12.
        let ring = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
        let mut lying = good.clone();
        lying[4..6].copy_from_slice(&u16::MAX.to_be_bytes());
        for bytes in [&[][..], &good[..11], &good[..20], &ring, &lying, &[0xff; 4096]] {
            assert_eq!(question().reply(7, bytes), Err(Foreign), "{bytes:?}");
        }
    }

    #[test]
    fn names_that_cannot_be_asked_for() {
        for text in ["a..b", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(Question::new(text, Kind::Aaaa), None, "{text}");
        }
    }
}
