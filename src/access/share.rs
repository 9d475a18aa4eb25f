//! Signed links: one range of one camera, for whoever has the link, until it expires. Nothing of them is kept.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::{hex, unhex};
use crate::{clock::Utc90k, ids::DeviceId, registry::users::Hash};

/// Bytes of what is signed before the device's name: expiry, start and end.
const NUMBERS: usize = 3 * 8;
const SIGNATURE: usize = 32;
/// Says what is signed: no other use of the secret gives a signature that means something here.
const PURPOSE: &[u8] = b"capstan share 1";

/// What a link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub device: DeviceId,
    pub start: Utc90k,
    pub end: Utc90k,
    pub expires: Utc90k,
}

impl Share {
    /// As it stands in the link.
    pub fn sign(&self, secret: &Hash) -> String {
        let mut out = Vec::with_capacity(NUMBERS + self.device.as_str().len() + SIGNATURE);
        for number in [self.expires, self.start, self.end] {
            out.extend_from_slice(&number.0.to_be_bytes());
        }
        out.extend_from_slice(self.device.as_str().as_bytes());
        let signature = mac(secret, &out).finalize().into_bytes();
        out.extend_from_slice(&signature);
        hex(&out)
    }

    /// None unless it was signed with this secret and has not expired.
    pub fn read(text: &str, secret: &Hash, now: Utc90k) -> Option<Self> {
        // Of the longest name of a device.
        if text.len() > 2 * (NUMBERS + crate::ids::DEVICE_ID_MAX + SIGNATURE) {
            return None;
        }
        let bytes = unhex(text)?;
        let (told, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        mac(secret, told).verify_slice(signature).ok()?;
        let (numbers, device) = told.split_at_checked(NUMBERS)?;
        let mut numbers = numbers.chunks_exact(8).map(|eight| i64::from_be_bytes(eight.try_into().unwrap_or_default()));
        let (expires, start, end) = (Utc90k(numbers.next()?), Utc90k(numbers.next()?), Utc90k(numbers.next()?));
        let device = std::str::from_utf8(device).ok()?.parse().ok()?;
        (now < expires).then_some(Self { device, start, end, expires })
    }

    /// Whether all of that span may be seen.
    pub fn covers(&self, start: Utc90k, end: Utc90k) -> bool {
        self.start <= start && end <= self.end
    }
}

fn mac(secret: &Hash, told: &[u8]) -> Hmac<Sha256> {
    // HMAC's own padding of a short key.
    let mut block = [0; 64];
    block.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(PURPOSE);
    mac.update(told);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Hash = [7; 32];

    #[test]
    fn links_are_read_whole_unchanged_and_in_time() {
        let seconds = Utc90k::from_seconds;
        let share =
            Share { device: "lobby".parse().unwrap(), start: seconds(10), end: seconds(20), expires: seconds(30) };
        let text = share.sign(&SECRET);
        let read = |text: &str, secret: &Hash, now: i64| Share::read(text, secret, seconds(now));
        assert_eq!(read(&text, &SECRET, 29), Some(share.clone()));
        assert_eq!(read(&text, &SECRET, 30), None, "expired");
        assert_eq!(read(&text, &[8; 32], 0), None, "signed by somebody else");
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(read(std::str::from_utf8(&other).unwrap(), &SECRET, 0), None, "changed at {at}");
            assert_eq!(read(&text[..at], &SECRET, 0), None, "cut at {at}");
        }
        for bad in [text.to_uppercase(), format!("{text}00"), "0".repeat(100_000), "é".into(), String::new()] {
            assert_eq!(read(&bad, &SECRET, 0), None, "{bad:.20}");
        }
        let check = |from: i64, to: i64, inside: bool| assert_eq!(share.covers(seconds(from), seconds(to)), inside);
        check(10, 20, true);
        check(12, 13, true);
        check(9, 20, false);
        check(10, 21, false);
        check(30, 40, false);
    }
}
