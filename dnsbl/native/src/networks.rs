//! Clients by their networks, as in `dnsbl/dns/networks.py`.

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Nobody knows.
    Unknown,
    /// IPv4, or IPv4 in IPv6 (`::ffff:0:0/96`).
    V4(u32),
    /// IPv6.
    V6(u128),
}

impl Client {
    /// From an address of 4 or 16 octets.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
            return Self::V4(u32::from_be_bytes(octets));
        }
        let Ok(octets) = <[u8; 16]>::try_from(octets) else {
            return Self::Unknown;
        };
        let number = u128::from_be_bytes(octets);
        match u32::try_from(number & 0xFFFF_FFFF) {
            Ok(low) if number >> 32 == 0xFFFF => Self::V4(low),
            _ => Self::V6(number),
        }
    }

    /// The /24 or /64 that shares a quota; None: nobody knows who asks.
    #[must_use]
    pub fn share(self) -> Option<Share> {
        self.network(64)
    }

    /// The /24, or in IPv6 a network of this length up to 64.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the upper half
    pub fn network(self, bits: u32) -> Option<Share> {
        match self {
            Self::Unknown => None,
            Self::V4(number) => Some(Share(V4 | u64::from(number >> 8))),
            Self::V6(number) => {
                let spare = 64 - bits.min(64);
                Some(Share((number >> 64) as u64 >> spare << spare))
            }
        }
    }
}

const V4: u64 = 0xFFFF << 48; // multicast in IPv6, where no client is

/// A network of clients, as one number: the upper half of an IPv6 network, or an IPv4 network where no IPv6 client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub u64);

impl Share {
    /// Its octets: 3 of IPv4, 8 of IPv6.
    #[must_use]
    pub fn octets(self) -> Vec<u8> {
        let octets = self.0.to_be_bytes();
        if self.0 & V4 == V4 {
            octets[5..].to_vec()
        } else {
            octets.to_vec()
        }
    }

    /// From those octets; None: of neither length.
    #[must_use]
    pub fn of(octets: &[u8]) -> Option<Self> {
        match *octets {
            [a, b, c] => Some(Self(V4 | u64::from(u32::from_be_bytes([0, a, b, c])))),
            _ => Some(Self(u64::from_be_bytes(octets.try_into().ok()?))),
        }
    }
}

/// A set of networks: first and last addresses, disjoint and ascending.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Of IPv4.
    pub v4: Vec<(u32, u32)>,
    /// Of IPv6.
    pub v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether a client is in one of them.
    #[must_use]
    pub fn has(&self, client: Client) -> bool {
        match client {
            Client::Unknown => false,
            Client::V4(number) => within(&self.v4, number),
            Client::V6(number) => within(&self.v6, number),
        }
    }
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], number: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= number);
    after.checked_sub(1).and_then(|place| ranges.get(place)).is_some_and(|(_, last)| number <= *last)
}
