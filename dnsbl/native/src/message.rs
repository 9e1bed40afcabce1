//! DNS messages: untrusted bytes in, a reply laid over them (RFC 1035 section 4.1). The rules are those of
//! `dnsbl/dns/message.py`, which says where each comes from; the two give the same bytes.

/// Octets of a header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;
/// The largest name, length octets and root included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The largest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: u8 = 63;
/// The most labels that a name has: each takes two octets or more, the root one.
pub const MAX_LABELS: usize = MAX_NAME / 2;
/// The largest reply without EDNS (RFC 1035 section 4.2.1).
pub const MAX_UDP_PLAIN: usize = 512;
/// The largest message: a two-octet length (RFC 1035 section 4.2.2).
pub const MAX_TCP: usize = 65_535;

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const OPCODE: u16 = 0x7800;
const ECHOED: u16 = OPCODE | RD;
const POINTER: u8 = 0xC0;

const OPTION_NSID: u16 = 3;
/// RFC 7873 section 4.
pub const OPTION_COOKIE: u16 = 10;
const OPTION_EDE: u16 = 15;

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9, RFC 7873 section 8).
pub mod rcode {
    #![allow(missing_docs)]
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const BADVERS: u16 = 16;
    pub const BADCOOKIE: u16 = 23;
}

/// Types that matter here.
pub mod qtype {
    #![allow(missing_docs)]
    pub const A: u16 = 1;
    pub const SOA: u16 = 6;
    pub const TXT: u16 = 16;
    pub const SIG: u16 = 24;
    pub const OPT: u16 = 41;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// Classes that matter here.
pub mod qclass {
    #![allow(missing_docs)]
    pub const IN: u16 = 1;
    pub const CH: u16 = 3;
}

/// Extended errors (RFC 8914 section 4).
pub mod ede {
    #![allow(missing_docs)]
    pub const NOT_READY: u16 = 14;
    pub const PROHIBITED: u16 = 18;
    pub const NOT_AUTHORITATIVE: u16 = 20;
    pub const INVALID_DATA: u16 = 24;
}

/// A name in lower case, and where its labels start; the space is used again for each query.
pub struct Name {
    /// Length octets and labels as on the wire; the first `size` octets count.
    pub lower: [u8; MAX_NAME + 1],
    /// Where each label's length octet stands.
    pub starts: [u8; MAX_LABELS + 1],
    /// How many labels, without the root.
    pub count: usize,
    /// Octets on the wire, root included.
    pub size: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self { lower: [0; MAX_NAME + 1], starts: [0; MAX_LABELS + 1], count: 0, size: 0 }
    }
}

impl Name {
    /// The label of this number from the front.
    #[must_use]
    pub fn label(&self, number: usize) -> &[u8] {
        let start = usize::from(self.starts[number]);
        &self.lower[start + 1..=start + usize::from(self.lower[start])]
    }

    /// The name from this label on, as on the wire, with its root.
    #[must_use]
    pub fn from(&self, number: usize) -> &[u8] {
        &self.lower[usize::from(self.starts[number])..self.size]
    }
}

/// A COOKIE option as received: the octets of the message that hold its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieAt {
    /// Where it starts.
    pub start: usize,
    /// Its length: 8, or 16 to 40.
    pub size: usize,
}

/// What was read of a message that wants a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Opcode and RD, to be echoed.
    pub echo: u16,
    /// The error to send, if not 0.
    pub rcode: u16,
    /// Where the question ends; 0: there is none.
    pub question_end: usize,
    /// Its type.
    pub qtype: u16,
    /// Its class.
    pub qclass: u16,
    /// It has an OPT record.
    pub edns: bool,
    /// What the client takes over UDP.
    pub size: usize,
    /// It asks for the server's identity (RFC 5001).
    pub nsid: bool,
    /// Its COOKIE option.
    pub cookie: Option<CookieAt>,
    /// It has a TSIG or SIG(0) record.
    pub signed: bool,
}

impl Query {
    /// The opcode; 0 is QUERY.
    #[must_use]
    pub fn opcode(&self) -> u16 {
        (self.echo & OPCODE) >> 11
    }
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Too short for a header: silence.
    Short,
    /// Itself a reply: silence, or two servers would talk for ever.
    Response,
    /// To be answered.
    Query(Query),
}

/// Bytes that are no well-formed message.
struct Bad;

fn u16_at(wire: &[u8], at: usize) -> Result<u16, Bad> {
    match wire.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Bad),
    }
}

/// Read a message from a stranger. `name` is filled where the question could be read.
pub fn parse(wire: &[u8], name: &mut Name) -> Parsed {
    name.count = 0;
    name.size = 0;
    let Some(header) = wire.first_chunk::<HEADER>() else {
        return Parsed::Short;
    };
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let flags = u16::from_be_bytes([header[2], header[3]]);
    if flags & QR != 0 {
        return Parsed::Response;
    }
    let mut query = Query { echo: flags & ECHOED, size: MAX_UDP_PLAIN, ..Query::default() };
    let (questions, before, additionals) = (count(4), count(6) + count(8), count(10));
    let read = read_question(&mut query, wire, questions, name)
        .and_then(|at| read_records(&mut query, wire, at, before, additionals));
    // RFC 9619 section 4; without question only a cookie can be wanted (RFC 7873 section 5.4).
    let nothing = query.question_end == 0 && (query.rcode != rcode::NOERROR || query.cookie.is_none());
    if read.is_err() || nothing {
        query.rcode = rcode::FORMERR;
    }
    Parsed::Query(query)
}

/// Read the question; gives where the records begin.
fn read_question(query: &mut Query, wire: &[u8], questions: usize, name: &mut Name) -> Result<usize, Bad> {
    match questions {
        0 => return Ok(HEADER),
        1 => {}
        _ => return Err(Bad), // RFC 9619 section 4
    }
    let rest = &wire[HEADER..];
    let mut at = 0;
    let mut count = 0;
    loop {
        match *rest.get(at).ok_or(Bad)? {
            0 => break,
            length if length > MAX_LABEL => return Err(Bad),
            length => {
                *name.starts.get_mut(count).ok_or(Bad)? = u8::try_from(at).map_err(|_| Bad)?;
                count += 1;
                at += 1 + usize::from(length);
            }
        }
    }
    let size = at + 1;
    if size > MAX_NAME {
        return Err(Bad);
    }
    query.qtype = u16_at(rest, size)?;
    query.qclass = u16_at(rest, size + 2)?;
    // A length octet of a label is 63 at most, "A" is 65: only letters change.
    for (to, from) in name.lower[..size].iter_mut().zip(rest) {
        *to = from.to_ascii_lowercase();
    }
    name.count = count;
    name.size = size;
    query.question_end = HEADER + size + 4;
    Ok(query.question_end)
}

/// Step over the records, taking note of OPT and of signatures. Each has 11 octets or more, so the message ends a loop
/// that its counts would not.
fn read_records(query: &mut Query, wire: &[u8], mut at: usize, before: usize, additionals: usize) -> Result<(), Bad> {
    for number in 0..before + additionals {
        let start = at;
        at = skip_name(wire, at)?;
        let rtype = u16_at(wire, at)?;
        let size = u16_at(wire, at + 2)?;
        let version = *wire.get(at + 5).ok_or(Bad)?;
        let length = usize::from(u16_at(wire, at + 8)?);
        let data = at + 10;
        at = data + length;
        let rdata = wire.get(data..at).ok_or(Bad)?;
        match rtype {
            qtype::OPT => {
                if query.edns || number < before || wire[start] != 0 {
                    return Err(Bad);
                }
                read_opt(query, size, version, rdata, data)?;
            }
            qtype::TSIG | qtype::SIG => query.signed = true,
            _ => {}
        }
    }
    Ok(())
}

/// Where a record's name ends. A pointer ends it too and is not followed.
fn skip_name(wire: &[u8], mut at: usize) -> Result<usize, Bad> {
    loop {
        match *wire.get(at).ok_or(Bad)? {
            0 => return Ok(at + 1),
            length if length >= POINTER => return Ok(at + 2),
            length if length > MAX_LABEL => return Err(Bad),
            length => at += 1 + usize::from(length),
        }
    }
}

/// RFC 6891 section 6.1; `data` is where `rdata` stands in the message.
fn read_opt(query: &mut Query, size: u16, version: u8, rdata: &[u8], data: usize) -> Result<(), Bad> {
    query.edns = true;
    query.size = usize::from(size).max(MAX_UDP_PLAIN);
    if version != 0 {
        query.rcode = rcode::BADVERS;
        return Ok(()); // another version may lay its options out in another way
    }
    let mut cookie = None; // of several, only the first is considered (RFC 7873 section 5.2)
    let mut at = 0;
    while at < rdata.len() {
        let code = u16_at(rdata, at)?;
        let length = usize::from(u16_at(rdata, at + 2)?);
        let value = at + 4;
        at = value + length;
        match code {
            OPTION_NSID => query.nsid = true,
            OPTION_COOKIE if cookie.is_none() => {
                cookie = Some(CookieAt { start: data + value, size: length });
            }
            _ => {}
        }
    }
    if at != rdata.len() || cookie.is_some_and(|cookie| !matches!(cookie.size, 8 | 16..=40)) {
        return Err(Bad); // RFC 7873 section 5.2.2
    }
    query.cookie = cookie;
    Ok(())
}

/// What goes into a reply besides what the query had.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// The response code.
    pub rcode: u16,
    /// Records in the answer section.
    pub answers: u16,
    /// Records in the authority section.
    pub authorities: u16,
    /// The records, packed.
    pub sections: &'a [u8],
    /// The packed OPT record, or nothing.
    pub opt: &'a [u8],
    /// AA.
    pub authoritative: bool,
}

/// Lay a reply of at most `limit` octets over the query at the front of `buffer`; gives its length. What does not fit is
/// not cut: the sections go as a whole and TC says so (RFC 2181 section 9). None: the buffer is too small even so.
pub fn build(buffer: &mut [u8], query: &Query, limit: usize, parts: &Parts) -> Option<usize> {
    let mut flags = QR | query.echo | (parts.rcode & 0xF);
    if parts.authoritative {
        flags |= AA;
    }
    let start = query.question_end.max(HEADER);
    let questions = u16::from(query.question_end != 0);
    let (mut answers, mut authorities, mut sections) = (parts.answers, parts.authorities, parts.sections);
    if start + sections.len() + parts.opt.len() > limit.min(buffer.len()) {
        flags |= TC;
        (answers, authorities, sections) = (0, 0, &[]);
    }
    let middle = start + sections.len();
    let end = middle + parts.opt.len();
    buffer.get_mut(start..middle)?.copy_from_slice(sections);
    buffer.get_mut(middle..end)?.copy_from_slice(parts.opt);
    let numbers = [flags, questions, answers, authorities, u16::from(!parts.opt.is_empty())];
    for (to, number) in buffer.get_mut(2..HEADER)?.chunks_exact_mut(2).zip(numbers) {
        to.copy_from_slice(&number.to_be_bytes());
    }
    Some(end)
}

/// An OPT record being packed (RFC 6891 section 6.1.2): no allocation, and room for all we ever send.
pub struct Opt {
    bytes: [u8; 256],
    size: usize,
}

impl Opt {
    /// One without options; `size` is what we take over UDP.
    #[must_use]
    pub fn new(size: u16, rcode: u16) -> Self {
        let mut bytes = [0; 256];
        bytes[1..3].copy_from_slice(&qtype::OPT.to_be_bytes());
        bytes[3..5].copy_from_slice(&size.to_be_bytes());
        bytes[5] = (rcode >> 4).to_be_bytes()[1];
        Self { bytes, size: 11 }
    }

    /// Add one option. Data that has no room is left out; the identity's bound sees to it that this never happens.
    pub fn option(&mut self, code: u16, data: &[u8]) {
        let (start, end) = (self.size + 4, self.size + 4 + data.len());
        let (Some(place), Ok(length)) = (self.bytes.get_mut(start..end), u16::try_from(data.len())) else {
            return;
        };
        place.copy_from_slice(data);
        self.bytes[start - 4..start - 2].copy_from_slice(&code.to_be_bytes());
        self.bytes[start - 2..start].copy_from_slice(&length.to_be_bytes());
        self.size = end;
        let all = u16::try_from(end - 11).unwrap_or(0);
        self.bytes[9..11].copy_from_slice(&all.to_be_bytes());
    }

    /// The server's identity (RFC 5001 section 2.2).
    pub fn nsid(&mut self, identity: &[u8]) {
        self.option(OPTION_NSID, identity);
    }

    /// An extended error without text (RFC 8914 section 2).
    pub fn extended_error(&mut self, code: u16) {
        self.option(OPTION_EDE, &code.to_be_bytes());
    }

    /// The record, packed.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.bytes[..self.size]
    }
}
