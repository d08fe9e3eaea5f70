//! Secrets: derived tokens, signatures, hashes, and the sealing of what must be kept but not read.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, aead::Aead};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The secret of a shop, and those it had before. All keys are derived from it by purpose, so one use tells nothing about
/// another. What was made with a former secret is still taken; nothing new is made with one.
pub struct Secret {
    current: [u8; 32],
    previous: Vec<[u8; 32]>,
}

/// The purpose of the tokens that open carts.
pub const CART: &str = "cart";

impl Secret {
    /// The secret made from any text of enough length.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        Self { current: digest(text), previous: Vec::new() }
    }

    /// The same, which takes what was made with these too.
    #[must_use]
    pub fn with_previous<T: AsRef<[u8]>>(mut self, texts: impl IntoIterator<Item = T>) -> Self {
        for text in texts {
            let secret = digest(text.as_ref());
            if secret != self.current && !self.previous.contains(&secret) {
                self.previous.push(secret);
            }
        }
        self
    }

    /// The current secret, then those before it.
    fn all(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// A key for one purpose.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        derived(&self.current, purpose)
    }

    /// The keys that what has been made for a purpose may have been made with, the current one first.
    #[must_use]
    pub fn keys(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.all().map(|secret| derived(secret, purpose)).collect()
    }

    /// A token that only the holder of the secret can make for this purpose and subject: 32 base64url characters.
    #[must_use]
    pub fn token(&self, purpose: &str, subject: &str) -> String {
        token(&self.current, purpose, subject)
    }

    /// The same token as each secret makes it, that of the current one first: what is looked for by it may have been kept under a former
    /// one.
    #[must_use]
    pub fn tokens(&self, purpose: &str, subject: &str) -> Vec<String> {
        self.all().map(|secret| token(secret, purpose, subject)).collect()
    }

    /// Whether a token is one for this purpose and subject; takes the same time for every wrong one.
    #[must_use]
    pub fn is_token(&self, purpose: &str, subject: &str, given: &str) -> bool {
        self.all().fold(false, |found, secret| found | is_same(&token(secret, purpose, subject), given))
    }

    /// Seals a text (ChaCha20-Poly1305 under a random nonce): it can be kept and not read.
    ///
    /// # Errors
    /// When the cipher refuses, which it does only for texts of many gigabytes.
    pub fn seal(&self, text: &str) -> Result<String> {
        self.seal_bytes(text.as_bytes())
    }

    /// The same for a text worth packing first: a document takes a third of the room then.
    ///
    /// # Errors
    /// When the cipher refuses, which it does only for texts of many gigabytes.
    pub fn seal_packed(&self, text: &str) -> Result<String> {
        let mut packer = DeflateEncoder::new(Vec::with_capacity(text.len() / 2), Compression::fast());
        let packed = packer.write_all(text.as_bytes()).and_then(|()| packer.finish()).map_err(Error::internal)?;
        Ok(format!("{PACKED}{}", self.seal_bytes(&packed)?))
    }

    fn seal_bytes(&self, text: &[u8]) -> Result<String> {
        let nonce: [u8; 12] = rand::random();
        let sealed = cipher(&self.current)?.encrypt(Nonce::from_slice(&nonce), text);
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.map_err(|_| Error::internal("sealing failed"))?);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens what [`Secret::seal`] or [`Secret::seal_packed`] has sealed.
    ///
    /// # Errors
    /// When it was sealed under a secret that is not known any more, or has been changed.
    pub fn unseal(&self, sealed: &str) -> Result<String> {
        let (packed, body) = split(sealed);
        let found = self.all().find_map(|secret| open(secret, body)).and_then(|text| text_of(text, packed));
        found.ok_or_else(|| Error::internal("a sealed text can not be opened: is auth.previous_secrets complete?"))
    }

    /// The same text sealed under the current secret; `None` when it is that already.
    ///
    /// # Errors
    /// When it was sealed under a secret that is not known any more, or has been changed.
    pub fn reseal(&self, sealed: &str) -> Result<Option<String>> {
        let (packed, body) = split(sealed);
        if open(&self.current, body).is_some() {
            return Ok(None);
        }
        let text = self.unseal(sealed)?;
        if packed { self.seal_packed(&text) } else { self.seal(&text) }.map(Some)
    }
}

/// What a sealed text begins with that was packed before. It is no character of base64url.
const PACKED: &str = "~";

fn split(sealed: &str) -> (bool, &str) {
    sealed.strip_prefix(PACKED).map_or((false, sealed), |body| (true, body))
}

fn text_of(bytes: Vec<u8>, packed: bool) -> Option<String> {
    if !packed {
        return String::from_utf8(bytes).ok();
    }
    let mut text = String::new();
    DeflateDecoder::new(bytes.as_slice()).read_to_string(&mut text).ok()?;
    Some(text)
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn mac(secret: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length, so this can not fail; the fallback is never reached.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(secret) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn derived(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    mac(secret, &[b"key", purpose.as_bytes()])
}

fn token(secret: &[u8; 32], purpose: &str, subject: &str) -> String {
    let mac = mac(secret, &[b"token", purpose.as_bytes(), subject.as_bytes()]);
    URL_SAFE_NO_PAD.encode(mac.get(..24).unwrap_or(&mac))
}

fn is_same(right: &str, given: &str) -> bool {
    let differs = right.bytes().zip(given.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    right.len() == given.len() && differs == 0
}

fn cipher(secret: &[u8; 32]) -> Result<ChaCha20Poly1305> {
    ChaCha20Poly1305::new_from_slice(&derived(secret, "seal")).map_err(Error::internal)
}

fn open(secret: &[u8; 32], sealed: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, body) = bytes.split_at_checked(12)?;
    cipher(secret).ok()?.decrypt(Nonce::from_slice(nonce), body).ok()
}

/// A random text of so many bytes in base64url.
#[must_use]
pub fn random_text(bytes: usize) -> String {
    let random: Vec<u8> = (0..bytes).map(|_| rand::random()).collect();
    URL_SAFE_NO_PAD.encode(random)
}

/// The SHA-256 of bytes in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_texts_open_under_the_same_secret_only() {
        let (ours, theirs) = (Secret::new(b"a"), Secret::new(b"b"));
        let sealed = ours.seal("whsec_123").unwrap();
        assert_ne!(sealed, ours.seal("whsec_123").unwrap());
        assert_eq!(ours.unseal(&sealed).unwrap(), "whsec_123");
        assert!(theirs.unseal(&sealed).is_err());
        assert!(ours.unseal("AAAA").is_err());
    }

    #[test]
    fn a_packed_document_is_smaller_and_opens_as_it_was() {
        let (former, current) = (Secret::new(b"a"), Secret::new(b"b").with_previous([b"a"]));
        let document = format!("[{}]", vec![r#"{"sku": "COFFEE-500", "name": "Käse"}"#; 40].join(","));
        let packed = former.seal_packed(&document).unwrap();
        assert!(packed.len() * 3 < document.len(), "{}", packed.len());
        assert_eq!(current.unseal(&packed).unwrap(), document);
        let again = current.reseal(&packed).unwrap().unwrap();
        assert_eq!(Secret::new(b"b").unseal(&again).unwrap(), document);
        assert!(current.reseal(&again).unwrap().is_none());
    }

    #[test]
    fn tokens_hold_for_one_purpose_and_subject() {
        let secret = Secret::new(b"a");
        let token = secret.token("cart", "cart_1");
        assert!(secret.is_token("cart", "cart_1", &token));
        assert!(!secret.is_token("cart", "cart_2", &token));
        assert!(!secret.is_token("order", "cart_1", &token));
        assert!(!secret.is_token("cart", "cart_1", ""));
    }

    #[test]
    fn what_a_former_secret_made_is_taken_and_sealed_again_under_the_current_one() {
        let (former, current) = (Secret::new(b"a"), Secret::new(b"b").with_previous([b"a", b"b"]));
        let (sealed, token) = (former.seal("whsec_123").unwrap(), former.token("cart", "cart_1"));
        assert_eq!(current.unseal(&sealed).unwrap(), "whsec_123");
        assert!(current.is_token("cart", "cart_1", &token) && !current.is_token("cart", "cart_2", &token));
        assert_ne!(current.token("cart", "cart_1"), token);
        let again = current.reseal(&sealed).unwrap().unwrap();
        assert_eq!(Secret::new(b"b").unseal(&again).unwrap(), "whsec_123");
        assert!(current.reseal(&again).unwrap().is_none() && former.reseal(&again).is_err());
        assert_eq!(current.keys("jwt"), [Secret::new(b"b").key("jwt"), former.key("jwt")]);
    }
}
