//! OpenSSH's signatures (`ssh-keygen -Y sign -n sweeper`), of Ed25519 keys and Ed25519 security keys.
//!
//! The format is OpenSSH's PROTOCOL.sshsig; of security keys PROTOCOL.u2f. A few fields of fixed order, read here
//! rather than by a crate of many algorithms, none of which is wanted.

use super::{Key, Refusal};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha512};

/// `-n` of `ssh-keygen`: a signature made for something else is none of ours.
pub const NAMESPACE: &str = "sweeper";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----";
const ED25519: &[u8] = b"ssh-ed25519";
const SECURITY_KEY: &[u8] = b"sk-ssh-ed25519@openssh.com";
/// The user touched the key (PROTOCOL.u2f).
const TOUCHED: u8 = 0x01;

/// A text and the armoured signature below it.
pub(super) fn split(bytes: &[u8]) -> Option<(&str, &str)> {
    let whole = std::str::from_utf8(bytes).ok()?;
    let at = whole.find(BEGIN)?;
    (at == 0 || whole.as_bytes()[at - 1] == b'\n').then(|| whole.split_at(at))
}

/// Fields of the wire format: strings behind their length.
struct Wire<'b>(&'b [u8]);

impl<'b> Wire<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.extend((field.len() as u32).to_be_bytes());
    out.extend(field);
}

/// A key's wire form, out of a line of `authorized_keys`: options are none of ours.
pub fn blob(line: &str) -> Option<Vec<u8>> {
    let mut words = line.split_ascii_whitespace();
    let sort = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    let named = Wire(&blob).string()? == sort.as_bytes();
    (named && [ED25519, SECURITY_KEY].contains(&sort.as_bytes())).then_some(blob)
}

/// The one of some keys that signed the text.
pub(super) fn verified<'k>(text: &str, armour: &str, keys: &[(&'k Key, &str)]) -> Result<&'k Key, Refusal> {
    let unreadable = |what: &str| Refusal::Unreadable(format!("the SSH signature {what}"));
    let body = armour.strip_prefix(BEGIN).and_then(|rest| rest.trim_end().strip_suffix(END));
    let body: String = body.ok_or_else(|| unreadable("has no end"))?.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(body).map_err(|_| unreadable("is no base64"))?;
    let mut wire = Wire(&bytes);
    let fields = (|| {
        let magic = wire.take(6)?;
        let version = wire.number()?;
        let public = wire.string()?;
        let namespace = wire.string()?;
        let reserved = wire.string()?;
        let algorithm = wire.string()?;
        let signature = wire.string()?;
        (magic == b"SSHSIG" && version == 1 && wire.0.is_empty())
            .then_some((public, namespace, reserved, algorithm, signature))
    })();
    let (public, namespace, reserved, algorithm, signature) = fields.ok_or_else(|| unreadable("is damaged"))?;
    if namespace != NAMESPACE.as_bytes() {
        return Err(unreadable("is for another purpose: sign with `-n sweeper`"));
    }
    let hash = match algorithm {
        b"sha256" => Sha256::digest(text.as_bytes()).to_vec(),
        b"sha512" => Sha512::digest(text.as_bytes()).to_vec(),
        _ => return Err(unreadable("uses a hash that is not known")),
    };
    let known = keys.iter().find(|(_, line)| blob(line).is_some_and(|own| own == public));
    let (key, _) = known.ok_or(Refusal::Unsigned)?;
    let mut signed = b"SSHSIG".to_vec();
    for field in [namespace, reserved, algorithm, &hash] {
        put(&mut signed, field);
    }
    if holds(public, signature, &signed) == Some(true) { Ok(key) } else { Err(Refusal::Forged(key.person.clone())) }
}

fn holds(public: &[u8], signature: &[u8], signed: &[u8]) -> Option<bool> {
    let mut public = Wire(public);
    let mut signature = Wire(signature);
    let sort = public.string()?;
    let point: [u8; 32] = public.string()?.try_into().ok()?;
    if signature.string()? != sort {
        return Some(false);
    }
    let made: [u8; 64] = signature.string()?.try_into().ok()?;
    let signed = if sort == SECURITY_KEY {
        let application = public.string()?;
        let flags = *signature.take(1)?.first()?;
        let counter = signature.take(4)?;
        if flags & TOUCHED == 0 {
            return Some(false);
        }
        let mut whole = Sha256::digest(application).to_vec();
        whole.push(flags);
        whole.extend(counter);
        whole.extend(Sha256::digest(signed));
        whole
    } else {
        signed.to_vec()
    };
    if !public.0.is_empty() || !signature.0.is_empty() {
        return Some(false);
    }
    let key = VerifyingKey::from_bytes(&point).ok()?;
    Some(key.verify_strict(&signed, &Signature::from_bytes(&made)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{approve::KeyKind, model::Timestamp};

    // Made by OpenSSH 9.2: `ssh-keygen -t ed25519`, `ssh-keygen -Y sign -n sweeper`.
    const LINE: &str = include_str!("ssh_key.txt");
    const TEXT: &str = include_str!("ssh_text.txt");
    const SIGNATURE: &str = include_str!("ssh_signature.txt");

    fn key() -> Key {
        Key {
            person: "alice@example.com".to_owned(),
            kind: KeyKind::Ssh(LINE.to_owned()),
            from: Timestamp(0),
            until: Timestamp(i64::MAX),
            revoked: false,
        }
    }

    #[test]
    fn what_openssh_signed_holds_and_nothing_else_does() {
        let key = key();
        let keys = [(&key, LINE)];
        let both = format!("{TEXT}{SIGNATURE}");
        let (text, armour) = split(both.as_bytes()).unwrap();
        assert_eq!(verified(text, armour, &keys).unwrap().person, "alice@example.com");
        let other = text.replace("hello", "hallo");
        assert_eq!(verified(&other, armour, &keys), Err(Refusal::Forged("alice@example.com".to_owned())));
        assert_eq!(verified(text, armour, &[]), Err(Refusal::Unsigned));
        // Every byte of the signature counts.
        let body: String = armour.lines().filter(|line| !line.starts_with('-')).collect();
        let bytes = STANDARD.decode(body).unwrap();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            let armour = format!("{BEGIN}{}\n{END}\n", STANDARD.encode(wrong));
            assert!(verified(text, &armour, &keys).is_err(), "byte {at}");
        }
    }
}
