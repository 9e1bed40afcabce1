//! Server cookies: version 1 of RFC 9018 section 4, for RFC 7873. The rules are those of `dnsbl/dns/cookies.py`.

use siphasher::sip::SipHasher24;

/// Octets of a client cookie (RFC 7873 section 4).
pub const CLIENT: usize = 8;
/// Octets of a server cookie of version 1 (RFC 9018 section 4).
pub const SERVER: usize = 16;
const VERSION: u8 = 1;
const MAX_AGE: i32 = 3600; // seconds (RFC 9018 section 4.3)
const MAX_AHEAD: i32 = 300;
const RENEW_AGE: i32 = 1800;

/// The secrets: the first makes cookies, all check them.
pub struct Cookies(Vec<SipHasher24>);

/// What a received server cookie is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// There was none.
    None,
    /// Not ours, too old, or another client's.
    Invalid,
    /// Ours.
    Valid,
}

impl Cookies {
    /// From secrets of 16 octets.
    #[must_use]
    pub fn new(secrets: &[[u8; 16]]) -> Self {
        Self(secrets.iter().map(SipHasher24::new_with_key).collect())
    }

    /// The client and server cookie to send back for the data of a COOKIE option (8 octets, or 16 to 40), and what the
    /// one received was worth. `client` is an address of 4 or 16 octets, `now` seconds of the clock.
    #[must_use]
    pub fn reply(&self, data: &[u8], client: &[u8], now: u32) -> ([u8; CLIENT + SERVER], Worth) {
        let mut cookie = [0; CLIENT + SERVER];
        let (first, received) = data.split_at(CLIENT.min(data.len()));
        cookie[..first.len()].copy_from_slice(first);
        let mut worth = Worth::None;
        if let Some((number, age)) = self.check(data, client, now) {
            worth = Worth::Valid;
            if number == 0 && (0..=RENEW_AGE).contains(&age) {
                cookie[CLIENT..].copy_from_slice(received);
                return (cookie, worth);
            }
        } else if !received.is_empty() {
            worth = Worth::Invalid;
        }
        cookie[CLIENT] = VERSION;
        cookie[CLIENT + 4..CLIENT + 8].copy_from_slice(&now.to_be_bytes());
        if let Some(secret) = self.0.first() {
            let hash = hash(secret, &cookie, client);
            cookie[CLIENT + 8..].copy_from_slice(&hash);
        }
        (cookie, worth)
    }

    /// Which secret made this cookie, and how old it is in seconds; None: it is not valid.
    fn check(&self, data: &[u8], client: &[u8], now: u32) -> Option<(usize, i32)> {
        let cookie: &[u8; CLIENT + SERVER] = data.try_into().ok()?;
        let made = u32::from_be_bytes([cookie[12], cookie[13], cookie[14], cookie[15]]);
        let age = now.wrapping_sub(made).cast_signed(); // RFC 1982: the clock of 32 bits goes round
        if cookie[CLIENT] != VERSION || !(-MAX_AHEAD..=MAX_AGE).contains(&age) {
            return None;
        }
        let hashed = &cookie[CLIENT + 8..];
        let found = self.0.iter().position(|secret| same(&hash(secret, cookie, client), hashed))?;
        Some((found, age))
    }
}

/// Client cookie, version, reserved, timestamp and client address, hashed (RFC 9018 section 4.4).
fn hash(secret: &SipHasher24, cookie: &[u8; CLIENT + SERVER], client: &[u8]) -> [u8; 8] {
    let mut input = [0; CLIENT + 8 + 16];
    let size = 16 + client.len().min(16);
    input[..16].copy_from_slice(&cookie[..16]);
    input[16..size].copy_from_slice(&client[..size - 16]);
    secret.hash(&input[..size]).to_le_bytes()
}

/// Whether they are equal, in the same time wherever they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
