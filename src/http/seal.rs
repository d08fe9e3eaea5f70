//! Secrets: derived tokens, signatures, hashes, and the sealing of what must be kept but not read.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, aead::Aead};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The secret of a shop. All keys are derived from it by purpose, so one use tells nothing about another.
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret made from any text of enough length.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// A key for one purpose.
    #[must_use]
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        self.mac(&[b"key", purpose.as_bytes()])
    }

    /// A token that only the holder of the secret can make for this purpose and subject: 32 base64url characters.
    #[must_use]
    pub fn token(&self, purpose: &str, subject: &str) -> String {
        let mac = self.mac(&[b"token", purpose.as_bytes(), subject.as_bytes()]);
        URL_SAFE_NO_PAD.encode(mac.get(..24).unwrap_or(&mac))
    }

    /// Whether a token is the one for this purpose and subject; takes the same time for every wrong one.
    #[must_use]
    pub fn is_token(&self, purpose: &str, subject: &str, token: &str) -> bool {
        let right = self.token(purpose, subject);
        let differs = right.bytes().zip(token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
        right.len() == token.len() && differs == 0
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC takes keys of any length, so this can not fail; the fallback is never reached.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.0) else { return [0; 32] };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Seals a text (ChaCha20-Poly1305 under a random nonce): it can be kept and not read.
    ///
    /// # Errors
    /// When the cipher refuses, which it does only for texts of many gigabytes.
    pub fn seal(&self, text: &str) -> Result<String> {
        let nonce: [u8; 12] = rand::random();
        let sealed = self.cipher()?.encrypt(Nonce::from_slice(&nonce), text.as_bytes());
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.map_err(|_| Error::internal("sealing failed"))?);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Opens what [`Secret::seal`] has sealed.
    ///
    /// # Errors
    /// When it was sealed under another secret or has been changed.
    pub fn unseal(&self, sealed: &str) -> Result<String> {
        let broken = || Error::internal("a sealed text can not be opened: was auth.secret changed?");
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| broken())?;
        let (nonce, body) = bytes.split_at_checked(12).ok_or_else(broken)?;
        let text = self.cipher()?.decrypt(Nonce::from_slice(nonce), body).map_err(|_| broken())?;
        String::from_utf8(text).map_err(|_| broken())
    }

    fn cipher(&self) -> Result<ChaCha20Poly1305> {
        ChaCha20Poly1305::new_from_slice(&self.key("seal")).map_err(Error::internal)
    }
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
    fn tokens_hold_for_one_purpose_and_subject() {
        let secret = Secret::new(b"a");
        let token = secret.token("cart", "cart_1");
        assert!(secret.is_token("cart", "cart_1", &token));
        assert!(!secret.is_token("cart", "cart_2", &token));
        assert!(!secret.is_token("order", "cart_1", &token));
        assert!(!secret.is_token("cart", "cart_1", ""));
    }
}
