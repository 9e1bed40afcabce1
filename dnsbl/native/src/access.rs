//! Who is answered below a zone's origin: networks, keys, quotas. The rules are those of `dnsbl/dns/access.py`, which says
//! what each is for; the two give the same bytes.

use std::collections::HashSet;

use crate::keys::{begins_as_key, is_key, Known};
use crate::message::Name;
use crate::networks::{Client, Networks};
use crate::usage::Counts;
use crate::zone::RecordSet;

const DAY: u64 = 86_400; // seconds

/// Why a query is not answered; those up to `Quota` have records, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reason {
    KeyNeeded,
    BadKey,
    Network,
    Public,
    Misplaced,
    Quota,
    Refused,
    NotReady,
}

/// Whether keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// A label like a key is a label like others.
    Off,
    /// Who has one shows it.
    Optional,
    /// Nobody is answered without.
    Required,
}

impl KeyUse {
    /// The use that a zone's definition names.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

/// A zone's access, made ready.
#[derive(Debug)]
pub struct Rules {
    /// Where its usage is counted.
    pub place: usize,
    /// Who may ask without a key; none: everybody.
    pub networks: Option<Networks>,
    /// Who is refused.
    pub refuse: Networks,
    /// Who must have a key, because many ask through it.
    pub public: Networks,
    /// Whether keys are taken.
    pub keys: KeyUse,
    /// Queries a day of a network without a key; 0: no limit.
    pub quota: u64,
    /// A label may be anything: the zone lists domains.
    pub free: bool,
    /// Test points, as labels on the wire before the origin or a sublist's name.
    pub tests: HashSet<Box<[u8]>>,
    /// The A and the TXT records for each reason.
    pub denials: Vec<[RecordSet; 2]>,
}

/// What was found of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The label before the origin is a key.
    pub keyed: bool,
    /// Why it is not answered.
    pub why: Option<Reason>,
}

/// Who asks, when, and what is known of those who ask.
pub struct Around<'a> {
    /// The client.
    pub client: Client,
    /// Seconds of the clock.
    pub now: u32,
    /// This thread's keys.
    pub known: &'a mut Known,
    /// What networks asked.
    pub counts: &'a Counts,
}

impl Rules {
    /// Whether a query is answered: `labels` before the origin, at least one. `is_sublist` tells a sublist's name.
    #[inline]
    pub fn admit(
        &self, name: &Name, labels: usize, around: &mut Around, is_sublist: impl Fn(&[u8]) -> bool,
    ) -> Admitted {
        let keyed = self.keys != KeyUse::Off && begins_as_key(name.label(labels - 1));
        let why = if self.refuse.has(around.client) {
            Some(Reason::Refused)
        } else if keyed {
            self.with_key(name, labels, around)
        } else {
            self.without_key(name, labels, around)
        };
        let open = why.is_some() && !keyed && self.is_test(name, labels, is_sublist);
        Admitted { keyed, why: why.filter(|_| !open) }
    }

    fn is_test(&self, name: &Name, labels: usize, is_sublist: impl Fn(&[u8]) -> bool) -> bool {
        let before = |labels: usize| &name.lower[..usize::from(name.starts[labels])];
        self.tests.contains(before(labels))
            || (is_sublist(name.label(labels - 1)) && self.tests.contains(before(labels - 1)))
    }

    fn misplaced(&self, name: &Name, labels: usize) -> bool {
        !self.free && (0..labels).any(|number| is_key(name.label(number)))
    }

    fn with_key(&self, name: &Name, labels: usize, around: &mut Around) -> Option<Reason> {
        if around.known.generation() == 0 {
            return Some(Reason::NotReady);
        }
        if self.misplaced(name, labels - 1) {
            return Some(Reason::Misplaced);
        }
        let Some(key) = around.known.find(name.label(labels - 1)) else {
            return Some(Reason::BadKey);
        };
        let now = u64::from(around.now);
        let elsewhere = !key.places.is_empty() && !key.places.contains(&self.place);
        let why = if elsewhere || (key.expires > 0 && key.expires <= now) {
            Some(Reason::BadKey)
        } else if key.queries > 0 && key.asked.spend(now / DAY) > key.queries {
            Some(Reason::Quota)
        } else {
            None
        };
        key.asked.count(self.place, why.is_none());
        why
    }

    fn without_key(&self, name: &Name, labels: usize, around: &mut Around) -> Option<Reason> {
        if self.keys != KeyUse::Off && self.misplaced(name, labels) {
            return Some(Reason::Misplaced);
        }
        if self.keys == KeyUse::Required {
            return Some(Reason::KeyNeeded);
        }
        if self.public.has(around.client) {
            return Some(Reason::Public);
        }
        if self.networks.as_ref().is_some_and(|networks| !networks.has(around.client)) {
            return Some(Reason::Network);
        }
        let network = around.client.share().filter(|_| self.quota > 0)?;
        let spent = around.counts.spend(self.place, network, u64::from(around.now) / DAY);
        (spent > self.quota).then_some(Reason::Quota)
    }

    /// The records for a reason: A, TXT.
    #[must_use]
    pub fn denial(&self, why: Reason) -> Option<&[RecordSet; 2]> {
        self.denials.get(why as usize)
    }
}
