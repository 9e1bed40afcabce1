//! Any octets as a message, over UDP and TCP: a reply is one, is no longer than allowed, and none is larger than asked.
#![no_main]

use dnsbl_native::answer::{reply, Asked, Outcome, Scratch, Settings};
use dnsbl_native::message::{parse, Name, Parsed};
use dnsbl_native::testing::{settings, zones};
use dnsbl_native::zone::Zones;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SERVED: LazyLock<(Settings, Zones)> = LazyLock::new(|| (settings(), zones()));

fuzz_target!(|wire: &[u8]| {
    for tcp in [false, true] {
        let mut buffer = vec![0; 65_535];
        if wire.len() > buffer.len() {
            return;
        }
        buffer[..wire.len()].copy_from_slice(wire);
        let asked = Asked { client: &[192, 0, 2, 1], now: 1_000_000, tcp };
        let (settings, zones) = &*SERVED;
        let outcome = reply(settings, zones, &mut Scratch::default(), &mut buffer, wire.len(), asked);
        if let Outcome::Reply(reply) = outcome {
            assert!(tcp || reply.size <= 1232);
            assert_eq!(buffer[..2], wire[..2]);
            assert_eq!(parse(&buffer[..reply.size], &mut Name::default()), Parsed::Response);
        }
    }
});
