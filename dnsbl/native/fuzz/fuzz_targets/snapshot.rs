//! Any octets as a snapshot file, with the right size and checksum: refused, or asked without harm.
#![no_main]

use dnsbl_native::snapshot::{Family, Wanted};
use dnsbl_native::testing::{seal, snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let mut file = content.to_vec();
    seal(&mut file);
    let Ok(taken) = snapshot(&file) else {
        return;
    };
    let (some, all) = (Wanted::new(vec![false, false, true]), Wanted::new(vec![true; 65_536]));
    for number in [0, 0x7F00_0002, 0xC000_0207, u64::from(u32::MAX), u64::MAX] {
        let _ = (taken.lookup4(number as u32), taken.lookup64(number), taken.lookup_deep(number, number));
        for family in [Family::V4, Family::V6] {
            let _ = taken.next(family, number, u64::MAX, &some);
            let _ = (taken.next(family, 0, number, &all), taken.end(family, number));
        }
        let _ = taken.deep_within(u128::from(number), u128::MAX).take(1000).count();
    }
    let _ = (taken.name(b"test"), taken.name(b"com.example.www"), taken.name(b""));
});
