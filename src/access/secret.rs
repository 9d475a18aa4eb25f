//! Random secrets, and what is kept of them.

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    registry::users::Hash,
};

/// Letters and digits that nobody mistakes for each other; 32 of them, so that each byte chooses evenly.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789_";
/// 100 bits.
const PASSWORD_CHARS: usize = 20;

/// From the kernel.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())
            .map_err(|error| Error::io("asking the kernel for random bytes", "", error.into()))?;
    }
    Ok(out)
}

/// A secret to hand out once: 256 random bits as hex, after a word that says what it is.
pub fn fresh(prefix: &str) -> Result<String> {
    Ok(format!("{prefix}{}", hex(&random::<32>()?)))
}

/// For a person to copy.
pub fn password() -> Result<String> {
    let letter = |byte: u8| char::from(LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a'));
    Ok(random::<PASSWORD_CHARS>()?.into_iter().map(letter).collect())
}

pub fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// The token against forged requests that belongs to a session: who knows the cookie can make it, no other page can.
pub fn csrf(session: &str) -> String {
    hex(&Sha256::digest(format!("csrf {session}").as_bytes()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// None for anything but pairs of lower-case digits: each secret has one spelling.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// In a time that does not tell where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn secrets_differ_and_have_one_spelling() {
        let made: HashSet<_> = (0..100).map(|_| fresh("cap_").unwrap()).collect();
        assert!(made.len() == 100 && made.iter().all(|it| it.len() == 68 && it.starts_with("cap_")));
        let passwords: HashSet<_> = (0..100).map(|_| password().unwrap()).collect();
        assert!(passwords.len() == 100 && passwords.iter().all(|it| it.len() == PASSWORD_CHARS));
        assert_eq!(unhex("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(["f", "FF", "0x", "é"].map(unhex), [None, None, None, None]);
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
        assert_ne!(csrf("a"), csrf("b"));
    }
}
