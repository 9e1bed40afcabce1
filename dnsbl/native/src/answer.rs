//! Queries in, replies out, for any loop that carries them: no I/O, no clock, nothing allocated. The ladder is that of
//! `dnsbl/dns/answer.py`, which says which rule each rung keeps; the two give the same bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::access::{Admitted, Around as Asker, Reason};
use crate::cookies::{Cookies, Worth, CLIENT};
use crate::keys::{Keys, Known};
use crate::limiter::{kind_of, Limiter, Verdict as Let};
use crate::message::{
    build, ede, parse, qclass, qtype, rcode, Name, Opt, Parsed, Parts, Query, HEADER, MAX_TCP, MAX_UDP_PLAIN,
    OPTION_COOKIE,
};
use crate::networks::Client;
use crate::usage::Counts;
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
    /// How often replies go out over UDP; none: always.
    pub limiter: Option<Limiter>,
    /// The keys that are good; none: nobody has said yet.
    pub keys: ArcSwapOption<Keys>,
    /// What networks asked where that is limited.
    pub counts: Counts,
    generation: AtomicU64, // of the keys
    plain_opt: Vec<u8>,
}

impl Settings {
    /// All of them.
    #[must_use]
    pub fn new(udp_size: u16, identity: Vec<u8>, cookies: Cookies, limiter: Option<Limiter>) -> Self {
        Self {
            udp_size,
            identity,
            cookies,
            limiter,
            keys: ArcSwapOption::empty(),
            counts: Counts::default(),
            generation: AtomicU64::new(0),
            plain_opt: Opt::new(udp_size, 0).packed().to_vec(),
        }
    }

    /// Take other keys, from the next query on.
    pub fn replace_keys(&self, keys: Arc<Keys>) {
        let generation = keys.generation;
        self.keys.store(Some(keys));
        self.generation.store(generation, Ordering::Release);
    }
}

/// Space that a thread uses again for each query, and what it remembers.
#[derive(Default)]
pub struct Scratch {
    name: Name,
    sections: Vec<u8>,
    subject: Vec<u8>,
    remembered: Remembered,
    known: Known,
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
    /// More replies than the client's network may have: silence.
    Limited(Reply),
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
    /// What a zone that does not answer everybody found.
    pub admitted: Admitted,
    /// It is empty, because there were too many.
    pub slipped: bool,
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
    if for_python(&query) || (!zones.elsewhere.is_empty() && zones.is_elsewhere(&scratch.name)) {
        return Outcome::HandOver;
    }
    let limit = if asked.tcp {
        MAX_TCP
    } else if query.edns {
        query.size.min(usize::from(settings.udp_size))
    } else {
        MAX_UDP_PLAIN
    };
    let Scratch { name, sections, subject, remembered, known } = scratch;
    sections.clear();
    let mut answer = Answer { settings, zones, query: &query, name, asked, cookie: None, cookie_data: [0; 24] };
    if let Some(at) = query.cookie {
        answer.read_cookie(buffer.get(at.start..at.start + at.size).unwrap_or_default(), asked);
    }
    let Verdict { slot, parts, why, admitted } = answer.ladder(remembered, known, subject, sections);
    let let_out = answer.limited(&parts);
    let cookie = answer.cookie;
    let counted = Reply { slot, qtype: query.qtype, rcode: parts.rcode, cookie, admitted, ..Reply::default() };
    if let_out == Let::Drop {
        return Outcome::Limited(counted);
    }
    let slipped = let_out == Let::Slip;
    let (limit, why) = if slipped { (0, None) } else { (limit, why) };
    let mut opt = None;
    let parts = Parts { opt: answer.opt(&mut opt, parts.rcode, why), ..parts };
    let Some(size) = build(buffer, &query, limit, &parts) else {
        return Outcome::HandOver; // no loop of ours has a buffer so small
    };
    let truncated = buffer[2] & 0x02 != 0;
    Outcome::Reply(Reply { size, truncated, slipped, ..counted })
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
    asked: Asked<'a>,
    cookie: Option<Worth>,
    cookie_data: [u8; 24],
}

/// The rung that a query ended on.
struct Verdict<'a> {
    slot: usize,
    parts: Parts<'a>,
    why: Option<u16>,
    admitted: Admitted,
}

fn error<'a>(rcode: u16, why: Option<u16>) -> Verdict<'a> {
    Verdict { slot: 0, parts: Parts { rcode, ..Parts::default() }, why, admitted: Admitted::default() }
}

impl<'a> Answer<'a> {
    fn read_cookie(&mut self, data: &[u8], asked: Asked) {
        if data.len() >= CLIENT && !asked.client.is_empty() {
            let (cookie, worth) = self.settings.cookies.reply(data, asked.client, asked.now);
            self.cookie_data = cookie;
            self.cookie = Some(worth);
        }
    }

    /// Whether a reply goes out: over UDP, to a client that shows no cookie of ours, there is a limit.
    #[inline]
    fn limited(&self, parts: &Parts) -> Let {
        match &self.settings.limiter {
            Some(limiter) if !self.asked.tcp && self.cookie != Some(Worth::Valid) => {
                let kind = kind_of(parts.rcode, parts.answers);
                limiter.take(Client::of(self.asked.client), kind, self.asked.now)
            }
            _ => Let::Send,
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

    fn ladder<'b>(
        &self, remembered: &mut Remembered, known: &mut Known, subject: &mut Vec<u8>, sections: &'b mut Vec<u8>,
    ) -> Verdict<'b>
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
        if zone.expired {
            return Verdict { slot: zone.slot, ..error(rcode::SERVFAIL, Some(ede::INVALID_DATA)) };
        }
        if self.name.count == zone.depth {
            return match zone.at_origin(query.qtype) {
                Some(set) => Self::positive(zone.slot, set.count, &set.bytes),
                None => self.negative(zone, rcode::NOERROR, sections),
            };
        }
        let around = Around { generation: self.zones.generation, number, remembered };
        let labels = self.name.count - zone.depth;
        if zone.access.is_some() {
            return self.guarded(zone, labels, around, known, subject, sections);
        }
        self.below(zone, labels, around, subject, sections)
    }

    /// A name of a zone that does not answer everybody. A key in it is no part of what is asked about.
    fn guarded<'b>(
        &self, zone: &'a Zone, labels: usize, around: Around, known: &mut Known, subject: &mut Vec<u8>,
        sections: &'b mut Vec<u8>,
    ) -> Verdict<'b>
    where
        'a: 'b,
    {
        let admitted = self.admitted(zone, labels, known);
        let verdict = match admitted.why {
            None => self.below(zone, labels - usize::from(admitted.keyed), around, subject, sections),
            Some(Reason::Refused) => Verdict { slot: zone.slot, ..error(rcode::REFUSED, Some(ede::PROHIBITED)) },
            Some(Reason::NotReady) => Verdict { slot: zone.slot, ..error(rcode::SERVFAIL, Some(ede::NOT_READY)) },
            Some(why) => {
                let denial = zone.access.as_ref().and_then(|rules| rules.denial(why));
                match (denial, self.query.qtype) {
                    (Some([set, _]), qtype::A | qtype::ANY) | (Some([_, set]), qtype::TXT) => {
                        Self::positive(zone.slot, set.count, &set.bytes)
                    }
                    _ => self.negative(zone, rcode::NOERROR, sections),
                }
            }
        };
        Verdict { admitted, ..verdict }
    }

    fn admitted(&self, zone: &Zone, labels: usize, known: &mut Known) -> Admitted {
        let Some(rules) = &zone.access else {
            return Admitted::default();
        };
        if known.generation() != self.settings.generation.load(Ordering::Acquire) {
            known.renew(self.settings.keys.load_full());
        }
        let (client, now) = (Client::of(self.asked.client), self.asked.now);
        let mut asker = Asker { client, now, known, counts: &self.settings.counts };
        rules.admit(self.name, labels, &mut asker, |label| zone.is_sublist(label))
    }

    /// What the first labels stand for.
    #[inline]
    fn below<'b>(
        &self, zone: &'a Zone, labels: usize, mut around: Around, subject: &mut Vec<u8>, sections: &'b mut Vec<u8>,
    ) -> Verdict<'b>
    where
        'a: 'b,
    {
        let (query, slot) = (self.query, zone.slot);
        if labels == 0 {
            return self.negative(zone, rcode::NOERROR, sections); // a key and nothing else: names are below it
        }
        if let Some(RecordSet { count, bytes }) = zone.host(self.name, labels) {
            return match query.qtype {
                qtype::A | qtype::ANY => Self::positive(slot, *count, bytes),
                _ => self.negative(zone, rcode::NOERROR, sections),
            };
        }
        let listed = match zone.find(self.name, labels, &mut around) {
            Found::Nothing => {
                return self.negative(zone, rcode::NXDOMAIN, sections);
            }
            Found::Empty => return self.negative(zone, rcode::NOERROR, sections),
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
        self.negative(zone, rcode::NOERROR, sections)
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
        Verdict { slot, parts, why: None, admitted: Admitted::default() }
    }

    /// NXDOMAIN or NODATA: the SOA's owner is a pointer to where the origin stands in the question.
    fn negative<'b>(&self, zone: &Zone, rcode: u16, sections: &'b mut Vec<u8>) -> Verdict<'b> {
        let owner = 0xC000 | (HEADER + self.name.size - zone.origin.len());
        sections.extend_from_slice(&u16::try_from(owner).unwrap_or(0).to_be_bytes());
        sections.extend_from_slice(&zone.soa);
        let parts = Parts { rcode, authorities: 1, sections, authoritative: true, ..Parts::default() };
        Verdict { slot: zone.slot, parts, why: None, admitted: Admitted::default() }
    }
}
