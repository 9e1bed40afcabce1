//! Queries in, replies out, for any loop that carries them: no I/O, no clock, nothing allocated. The ladder is that of
//! `dnsbl/dns/answer.py`, which says which rule each rung keeps; the two give the same bytes.

use crate::cookies::{Cookies, Worth, CLIENT};
use crate::message::{
    build, ede, parse, qclass, qtype, rcode, Name, Opt, Parsed, Parts, Query, HEADER, MAX_TCP, MAX_UDP_PLAIN,
    OPTION_COOKIE,
};
use crate::zone::{Around, Found, RecordSet, Remembered, Zone, Zones};

const MAX_SECTIONS: usize = MAX_TCP - MAX_UDP_PLAIN;

/// What an operator has set.
pub struct Settings {
    /// The largest reply over UDP.
    pub udp_size: u16,
    /// The server's identity (RFC 5001), or nothing.
    pub identity: Vec<u8>,
    /// Server cookies.
    pub cookies: Cookies,
    plain_opt: Vec<u8>,
}

impl Settings {
    /// All of them.
    #[must_use]
    pub fn new(udp_size: u16, identity: Vec<u8>, cookies: Cookies) -> Self {
        Self { udp_size, identity, cookies, plain_opt: Opt::new(udp_size, 0).packed().to_vec() }
    }
}

/// Space that a thread uses again for each query, and what it remembers.
#[derive(Default)]
pub struct Scratch {
    name: Name,
    sections: Vec<u8>,
    subject: Vec<u8>,
    remembered: Remembered,
}

impl Scratch {
    /// The name last asked for, as on the wire in lower case.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name.lower[..self.name.size]
    }
}

/// Who asks, when, and over what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// An address of 4 or 16 octets; none: unknown.
    pub client: &'a [u8],
    /// Seconds of the clock.
    pub now: u32,
    /// Over TCP.
    pub tcp: bool,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Too short to be answered.
    Short,
    /// Itself a reply: never answered.
    Silent,
    /// For the Python path; the message is untouched.
    HandOver,
    /// The reply stands where the message was.
    Reply(Reply),
}

/// A reply, and what is counted of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Its length.
    pub size: usize,
    /// Where its zone is counted; 0: none.
    pub slot: usize,
    /// The type that was asked for.
    pub qtype: u16,
    /// The response code.
    pub rcode: u16,
    /// It has TC.
    pub truncated: bool,
    /// What the server cookie received was worth; nothing if there was no COOKIE option.
    pub cookie: Option<Worth>,
}

/// Answer the message of `size` octets at the front of `buffer`, in place. The buffer must have room for the largest
/// reply: 4096 octets for UDP, `MAX_TCP` for TCP.
pub fn reply(
    settings: &Settings, zones: &Zones, scratch: &mut Scratch, buffer: &mut [u8], size: usize, asked: Asked,
) -> Outcome {
    let query = match parse(buffer.get(..size).unwrap_or_default(), &mut scratch.name) {
        Parsed::Short => return Outcome::Short,
        Parsed::Response => return Outcome::Silent,
        Parsed::Query(query) => query,
    };
    if for_python(&query) {
        return Outcome::HandOver;
    }
    let limit = if asked.tcp {
        MAX_TCP
    } else if query.edns {
        query.size.min(usize::from(settings.udp_size))
    } else {
        MAX_UDP_PLAIN
    };
    let Scratch { name, sections, subject, remembered } = scratch;
    sections.clear();
    let mut answer = Answer { settings, zones, query: &query, name, cookie: None, cookie_data: [0; 24] };
    if let Some(at) = query.cookie {
        answer.read_cookie(buffer.get(at.start..at.start + at.size).unwrap_or_default(), asked);
    }
    let Verdict { slot, parts, why } = answer.ladder(remembered, subject, sections);
    let mut opt = None;
    let parts = Parts { opt: answer.opt(&mut opt, parts.rcode, why), ..parts };
    let Some(size) = build(buffer, &query, limit, &parts) else {
        return Outcome::HandOver; // no loop of ours has a buffer so small
    };
    let cookie = answer.cookie;
    let truncated = buffer[2] & 0x02 != 0;
    Outcome::Reply(Reply { size, slot, qtype: query.qtype, rcode: parts.rcode, truncated, cookie })
}

/// What is not answered here: other opcodes, other classes than IN that have answers, transfers, signed messages.
fn for_python(query: &Query) -> bool {
    query.opcode() != 0
        || (query.rcode == rcode::NOERROR
            && (query.signed || query.qclass == qclass::CH || matches!(query.qtype, qtype::AXFR | qtype::IXFR)))
}

struct Answer<'a> {
    settings: &'a Settings,
    zones: &'a Zones,
    query: &'a Query,
    name: &'a Name,
    cookie: Option<Worth>,
    cookie_data: [u8; 24],
}

/// The rung that a query ended on.
struct Verdict<'a> {
    slot: usize,
    parts: Parts<'a>,
    why: Option<u16>,
}

fn error<'a>(rcode: u16, why: Option<u16>) -> Verdict<'a> {
    Verdict { slot: 0, parts: Parts { rcode, ..Parts::default() }, why }
}

impl<'a> Answer<'a> {
    fn read_cookie(&mut self, data: &[u8], asked: Asked) {
        if data.len() >= CLIENT && !asked.client.is_empty() {
            let (cookie, worth) = self.settings.cookies.reply(data, asked.client, asked.now);
            self.cookie_data = cookie;
            self.cookie = Some(worth);
        }
    }

    /// The OPT record of the reply, where the query had one (RFC 6891 section 6.1.1); `opt` is where it is packed.
    fn opt<'b>(&self, opt: &'b mut Option<Opt>, code: u16, why: Option<u16>) -> &'b [u8]
    where
        'a: 'b,
    {
        if !self.query.edns {
            return &[];
        }
        let named = self.query.nsid && !self.settings.identity.is_empty();
        if !(named || why.is_some() || self.cookie.is_some() || code > 0xF) {
            return &self.settings.plain_opt;
        }
        let opt = opt.insert(Opt::new(self.settings.udp_size, code));
        if named {
            opt.nsid(&self.settings.identity);
        }
        if self.cookie.is_some() {
            opt.option(OPTION_COOKIE, &self.cookie_data);
        }
        if let Some(code) = why {
            opt.extended_error(code);
        }
        opt.packed()
    }

    fn ladder<'b>(&self, remembered: &mut Remembered, subject: &mut Vec<u8>, sections: &'b mut Vec<u8>) -> Verdict<'b>
    where
        'a: 'b,
    {
        let query = self.query;
        if query.rcode != rcode::NOERROR {
            return error(query.rcode, None);
        }
        if query.question_end == 0 {
            return error(self.without_question(), None);
        }
        if query.qtype == qtype::OPT {
            return error(rcode::FORMERR, None);
        }
        if query.qclass != qclass::IN {
            return error(rcode::REFUSED, Some(ede::NOT_AUTHORITATIVE));
        }
        if self.zones.is_empty() {
            return error(rcode::SERVFAIL, Some(ede::NOT_READY));
        }
        let Some((number, zone)) = self.zones.find(self.name) else {
            return error(rcode::REFUSED, Some(ede::NOT_AUTHORITATIVE));
        };
        let (parts, slot) = (Parts { authoritative: true, ..Parts::default() }, zone.slot);
        if self.name.count == zone.depth {
            return match zone.at_origin(query.qtype) {
                Some(set) => Self::positive(slot, set.count, &set.bytes),
                None => self.negative(zone, parts, sections),
            };
        }
        let mut around = Around { generation: self.zones.generation, number, remembered };
        let listed = match zone.find(self.name, &mut around) {
            Found::Nothing => {
                return self.negative(zone, Parts { rcode: rcode::NXDOMAIN, ..parts }, sections);
            }
            Found::Empty => return self.negative(zone, parts, sections),
            Found::Listed(listed) => listed,
        };
        match query.qtype {
            qtype::A | qtype::ANY => {
                if let Some(RecordSet { count, bytes }) = zone.addresses(listed) {
                    return Self::positive(slot, *count, bytes);
                }
            }
            qtype::TXT => {
                let count = zone.texts(self.name, listed, subject, sections);
                if count > 0 {
                    return Self::positive(slot, count, sections);
                }
            }
            _ => {}
        }
        self.negative(zone, parts, sections)
    }

    /// RFC 7873 section 5.4: a message without question may fetch a cookie, and nothing else.
    fn without_question(&self) -> u16 {
        match self.cookie {
            Some(Worth::None | Worth::Valid) => rcode::NOERROR,
            Some(Worth::Invalid) => rcode::BADCOOKIE,
            None => rcode::FORMERR,
        }
    }

    fn positive(slot: usize, count: u16, sections: &'_ [u8]) -> Verdict<'_> {
        if sections.len() > MAX_SECTIONS {
            // Only texts that no message can hold come here; TC would send the client from UDP to TCP for nothing.
            return Verdict { slot, ..error(rcode::SERVFAIL, None) };
        }
        let parts = Parts { answers: count, sections, authoritative: true, ..Parts::default() };
        Verdict { slot, parts, why: None }
    }

    /// NXDOMAIN or NODATA: the SOA's owner is a pointer to where the origin stands in the question.
    fn negative<'b>(&self, zone: &Zone, parts: Parts<'b>, sections: &'b mut Vec<u8>) -> Verdict<'b> {
        let owner = 0xC000 | (HEADER + self.name.size - zone.origin.len());
        sections.extend_from_slice(&u16::try_from(owner).unwrap_or(0).to_be_bytes());
        sections.extend_from_slice(&zone.soa);
        Verdict { slot: zone.slot, parts: Parts { authorities: 1, sections, ..parts }, why: None }
    }
}
