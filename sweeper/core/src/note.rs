//! Signed notes: a text, and below it who signed it (<https://c2sp.org/signed-note>).
//!
//! ```text
//! the text, which ends with a newline
//!
//! — name base64(key id ‖ signature)
//! ```
//!
//! Keys are Ed25519 (signature type 0x01), in the encodings of Go's `golang.org/x/mod/sumdb/note`.

use crate::inert::is_hostile;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, fmt, sync::Arc};
use thiserror::Error;

/// Ed25519 in the specification's list of signature types.
const ED25519: u8 = 0x01;
/// The longest note that is read, bytes (as in Go's implementation).
const MAX_SIZE: usize = 1_000_000;
/// The most signatures that are read (as in Go's implementation; the specification demands at least 16).
const MAX_SIGNATURES: usize = 100;
/// What a private key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";

/// Why a key or a note is refused. Never says anything of a private key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Not a note, or not one that may be signed.
    #[error("it is not a signed note: {0}")]
    Malformed(&'static str),
    /// Not a key in the form that this is about.
    #[error("it is not a key: {0}")]
    BadKey(&'static str),
    /// A key that is known signed something else.
    #[error("the signature of {0} is not of this text")]
    BadSignature(String),
    /// Two known keys have one name and one id, so that nobody can say whose a signature is.
    #[error("two different keys are called {0}")]
    Ambiguous(String),
    /// No key that is known signed it.
    #[error("no known key signed it")]
    Unverified,
    /// Whoever keeps the private key made no signature.
    #[error("{who} did not sign: {why}")]
    Unsigned { who: String, why: String },
}

/// Whoever keeps a private key that is not here: a key service, a security module.
pub trait Sign: Send + Sync {
    /// An Ed25519 signature over exactly these bytes (RFC 8032, pure: not over a hash of them), or why there is none,
    /// as a lowercase fragment. It is held against the public key before anybody sees it.
    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], String>;
}

/// Where a private key is.
#[derive(Clone)]
enum Private {
    Here(Box<SigningKey>),
    Elsewhere(Arc<dyn Sign>),
}

/// A private key, here or with somebody who signs with it, and the name it signs with.
#[derive(Clone)]
pub struct Signer {
    key: Private,
    verifier: Verifier,
}

impl Signer {
    /// The key of a seed, which must come from a source of secret randomness.
    pub fn generate(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = Verifier::new(name, key.verifying_key())?;
        Ok(Self { key: Private::Here(Box::new(key)), verifier })
    }

    /// A key that somebody else keeps. What they sign counts only when it holds against this public key.
    pub fn elsewhere(verifier: Verifier, keeper: Arc<dyn Sign>) -> Self {
        Self { key: Private::Elsewhere(keeper), verifier }
    }

    /// `PRIVATE+KEY+<name>+<key id>+<base64(type ‖ seed)>`, as Go writes it.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.strip_prefix(PRIVATE).ok_or(NoteError::BadKey("a private key begins with PRIVATE+KEY+"))?;
        let (name, id, seed) = key_parts(rest)?;
        let signer = Self::generate(name, &seed)?;
        if signer.verifier.id != id {
            return Err(NoteError::BadKey("its id belongs to another key or name"));
        }
        Ok(signer)
    }

    /// The key as [`Signer::parse`] reads it: a secret, for the file that keeps it and nothing else. `None` where
    /// somebody else keeps it.
    pub fn private_key(&self) -> Option<String> {
        let Private::Here(key) = &self.key else { return None };
        let Verifier { name, id, .. } = &self.verifier;
        Some(format!("{PRIVATE}{name}+{id:08x}+{}", STANDARD.encode(typed(key.as_bytes()))))
    }

    /// What others verify with.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// A note of the text with this one signature. The text must end with a newline and hold no other
    /// control character.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        let mut note = Note::new(text)?;
        note.sign(self)?;
        Ok(note.to_string())
    }

    /// The signature of a text, which holds.
    fn signature(&self, text: &str) -> Result<[u8; 64], NoteError> {
        use ed25519_dalek::Signer as _;
        match &self.key {
            Private::Here(key) => Ok(key.sign(text.as_bytes()).to_bytes()),
            Private::Elsewhere(keeper) => {
                let who = || self.verifier.name.clone();
                let made = keeper.sign(text.as_bytes()).map_err(|why| NoteError::Unsigned { who: who(), why })?;
                if self.verifier.holds(text, &made) { Ok(made) } else { Err(NoteError::BadSignature(who())) }
            }
        }
    }
}

/// Says whose key it is, and nothing of the key.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").field("name", &self.verifier.name).finish_non_exhaustive()
    }
}

/// A public key, and the name it signs with. Shown as [`Verifier::parse`] reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Verifier {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_name(name) || name.contains(is_hostile) {
            return Err(NoteError::BadKey("its name is empty or has a space, a plus sign or a control character"));
        }
        if key.is_weak() {
            return Err(NoteError::BadKey("everybody can sign for it"));
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, ED25519, key.as_bytes()), key })
    }

    /// The public key of a key that was made elsewhere, under a name.
    pub fn of(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::BadKey("it is not a point of the curve"))?;
        Self::new(name, key)
    }

    /// `<name>+<key id>+<base64(type ‖ public key)>`, as Go writes it.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = key_parts(text)?;
        let verifier = Self::of(name, &key)?;
        if verifier.id != id {
            return Err(NoteError::BadKey("its id belongs to another key or name"));
        }
        Ok(verifier)
    }

    /// Whom its signatures say they are of. Two keys may have one name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key): with the name it says which key
    /// a signature is of. Not a fingerprint, others can be made with the same.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The public key, which is what makes two signers the same or not.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether this key signed these bytes. Strict: of all signatures that RFC 8032 lets pass, only the one
    /// that the signer made.
    fn holds(&self, text: &str, signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }

    fn made(&self, signature: &Signature) -> bool {
        self.name == signature.name && self.id == signature.key_id
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed(self.key.as_bytes())))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A signature line. That it is there says nothing: see [`Note::verified_by`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub key_id: u32,
    /// As the key's algorithm makes it; of Ed25519, 64 bytes.
    pub bytes: Vec<u8>,
}

/// A text, and the signatures below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note that nobody has signed yet.
    pub fn new(text: &str) -> Result<Self, NoteError> {
        check_text(text)?;
        Ok(Self { text: text.to_owned(), signatures: Vec::new() })
    }

    /// Reads a note. Its text may not be used before [`Note::verified_by`] has said who signed it.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_SIZE {
            return Err(NoteError::Malformed("it is too long"));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        check_text(whole)?;
        // The last empty line: the text may have others.
        let end = whole.rfind("\n\n").ok_or(NoteError::Malformed("it has no empty line before its signatures"))?;
        let (text, below) = (&whole[..=end], &whole[end + 2..]);
        let lines = below.strip_suffix('\n').ok_or(NoteError::Malformed("it has no signature"))?;
        let signatures = lines.split('\n').map(signature_line).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed("it has too many signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// What was signed, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every signature line, verified or not, in their order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature; once more by the same key changes nothing.
    ///
    /// # Errors
    /// Only where somebody else keeps the key, who does not sign, or signs something else.
    pub fn sign(&mut self, signer: &Signer) -> Result<(), NoteError> {
        let Verifier { name, id, .. } = &signer.verifier;
        let bytes = signer.signature(&self.text)?.to_vec();
        self.attach(Signature { name: name.clone(), key_id: *id, bytes });
        Ok(())
    }

    /// Adds a signature that was made elsewhere, over exactly [`Note::text`]. One that is there already is
    /// not added again.
    pub fn attach(&mut self, signature: Signature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }

    /// Which of these keys signed it: each key once, whatever it is called and however often it signed, in
    /// the order of the signatures. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// When a signature of a known key does not hold, or no known key signed: then the text means nothing.
    pub fn verified_by<'a>(&self, known: &'a [Verifier]) -> Result<Vec<&'a Verifier>, NoteError> {
        let mut seen = BTreeSet::new();
        let mut signed = Vec::new();
        for signature in &self.signatures {
            let mut named = known.iter().filter(|verifier| verifier.made(signature));
            let Some(verifier) = named.next() else { continue };
            if named.any(|other| other.key != verifier.key) {
                return Err(NoteError::Ambiguous(verifier.name.clone()));
            }
            if !verifier.holds(&self.text, &signature.bytes) {
                return Err(NoteError::BadSignature(verifier.name.clone()));
            }
            if seen.insert(verifier.public_key()) {
                signed.push(verifier);
            }
        }
        if signed.is_empty() { Err(NoteError::Unverified) } else { Ok(signed) }
    }
}

/// The note as [`Note::parse`] reads it.
impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        for Signature { name, key_id, bytes } in &self.signatures {
            let signed: Vec<u8> = key_id.to_be_bytes().into_iter().chain(bytes.iter().copied()).collect();
            writeln!(formatter, "— {name} {}", STANDARD.encode(signed))?;
        }
        Ok(())
    }
}

/// The id that the specification recommends.
fn key_id(name: &str, kind: u8, public: &[u8]) -> u32 {
    let digest = Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(public).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Key material behind its type.
fn typed(material: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![ED25519];
    bytes.extend_from_slice(material);
    bytes
}

/// `<name>+<id>+<base64(type ‖ 32 bytes)>`. A name has no plus sign, base64 may have.
fn key_parts(text: &str) -> Result<(&str, u32, [u8; 32]), NoteError> {
    const FORM: NoteError = NoteError::BadKey("it has not the form name+id+base64");
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(FORM);
    };
    if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(FORM);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| FORM)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| FORM)?;
    match bytes.split_first() {
        Some((&ED25519, material)) => {
            let material = material.try_into().map_err(|_| NoteError::BadKey("it has the wrong length"))?;
            Ok((name, id, material))
        }
        Some(_) => Err(NoteError::BadKey("it is not an Ed25519 key")),
        None => Err(FORM),
    }
}

fn signature_line(line: &str) -> Result<Signature, NoteError> {
    const FORM: NoteError = NoteError::Malformed("a line below the text is not a signature");
    let (name, encoded) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(FORM)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| FORM)?;
    match bytes.split_first_chunk() {
        Some((id, signature)) if is_name(name) && !signature.is_empty() => {
            Ok(Signature { name: name.to_owned(), key_id: u32::from_be_bytes(*id), bytes: signature.to_vec() })
        }
        _ => Err(FORM),
    }
}

/// What the specification lets a key be called.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|letter: char| letter == '+' || letter.is_whitespace() || letter.is_control())
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_SIZE {
        return Err(NoteError::Malformed("it is too long"));
    }
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("it does not end with a newline"));
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed("it has a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Keys and signatures of golang.org/x/mod/sumdb/note (note_test.go, and the examples of its documentation).
    const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const BY_PETER: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const BY_ENOCH: &str =
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
    // The example of the specification, as of 2025.
    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const BY_EXAMPLE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn verifier(text: &str) -> Verifier {
        Verifier::parse(text).unwrap()
    }

    fn names(note: &str, known: &[Verifier]) -> Result<Vec<String>, NoteError> {
        let note = Note::parse(note.as_bytes())?;
        Ok(note.verified_by(known)?.into_iter().map(|verifier| verifier.name().to_owned()).collect())
    }

    #[test]
    fn signs_as_go_signs() {
        let signer = Signer::parse(PETER_PRIVATE).unwrap();
        assert_eq!(signer.private_key().as_deref(), Some(PETER_PRIVATE));
        assert_eq!(signer.verifier().to_string(), PETER);
        assert_eq!(signer.sign(TEXT).unwrap(), format!("{TEXT}\n{BY_PETER}"));
    }

    #[test]
    fn verifies_what_others_signed() {
        for key in [PETER, ENOCH, EXAMPLE] {
            assert_eq!(verifier(key).to_string(), key);
        }
        let both = format!("{TEXT}\n{BY_PETER}{BY_ENOCH}");
        assert_eq!(names(&both, &[verifier(ENOCH), verifier(PETER)]).unwrap(), ["PeterNeumann", "EnochRoot"]);
        assert_eq!(names(&both, &[verifier(PETER)]).unwrap(), ["PeterNeumann"]);
        assert_eq!(names(&both, &[verifier(EXAMPLE)]), Err(NoteError::Unverified));
        assert_eq!(names(&both, &[]), Err(NoteError::Unverified));
        assert_eq!(names(BY_EXAMPLE, &[verifier(EXAMPLE)]).unwrap(), ["example.com/foo"]);
        assert_eq!(Note::parse(both.as_bytes()).unwrap().to_string(), both);
    }

    #[test]
    fn a_key_counts_once() {
        let twice = format!("{TEXT}\n{BY_PETER}{BY_PETER}");
        assert_eq!(names(&twice, &[verifier(PETER), verifier(PETER)]).unwrap(), ["PeterNeumann"]);
        // Nor does another name for it make it another.
        let seed = [7; 32];
        let (one, other) = (Signer::generate("one", &seed).unwrap(), Signer::generate("other", &seed).unwrap());
        let mut note = Note::new("text\n").unwrap();
        note.sign(&one).unwrap();
        note.sign(&other).unwrap();
        note.sign(&one).unwrap();
        assert_eq!(note.signatures().len(), 2);
        let known = [one.verifier().clone(), other.verifier().clone()];
        assert_eq!(names(&note.to_string(), &known).unwrap(), ["one"]);
    }

    #[test]
    fn a_known_key_that_fails_refuses_the_note() {
        let known = [verifier(PETER), verifier(ENOCH)];
        let edited = format!("{}\n{BY_PETER}", TEXT.replace("answer", "answers"));
        assert_eq!(names(&edited, &known), Err(NoteError::BadSignature("PeterNeumann".to_owned())));
        // Even beside another that holds, and after one that held.
        let foreign = BY_PETER.replace("AcElZ", "AcElY");
        for lines in [format!("{BY_ENOCH}{foreign}"), format!("{BY_PETER}{foreign}")] {
            let note = format!("{TEXT}\n{lines}");
            assert_eq!(names(&note, &known), Err(NoteError::BadSignature("PeterNeumann".to_owned())));
        }
        let longer = format!("{TEXT}\n{}ABCD{}", &BY_PETER[..60], &BY_PETER[60..]);
        assert_eq!(names(&longer, &known), Err(NoteError::BadSignature("PeterNeumann".to_owned())));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let notes = [
            TEXT.to_owned(),
            format!("{TEXT}\n"),
            format!("{TEXT}\n{}", BY_PETER.trim_end()),
            format!("\x01{TEXT}\n{BY_PETER}"),
            format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad Name")),
            format!("{TEXT}\n{BY_PETER}Unexpected line.\n"),
            format!("{TEXT}\n{}", BY_PETER.repeat(101)),
            format!("{TEXT}\r\n\r\n{BY_PETER}"),
            format!("{TEXT}\n{BY_PETER}\n"),
            String::new(),
            "\n".to_owned(),
            "\n\n".to_owned(),
        ];
        for note in notes {
            assert!(matches!(Note::parse(note.as_bytes()), Err(NoteError::Malformed(_))), "{note:?}");
        }
        let binary = [b"\xff", TEXT.as_bytes(), b"\n", BY_PETER.as_bytes()].concat();
        assert!(matches!(Note::parse(&binary), Err(NoteError::Malformed(_))));
        for text in ["", "no newline", "a\ttab\n", "an escape \x1b[2J\n"] {
            assert!(Note::new(text).is_err(), "{text:?}");
        }
    }

    /// Signs with a key of its own, after spoiling what it was given or what it gives.
    struct Keeper {
        key: Signer,
        spoil: fn(&[u8]) -> Result<String, String>,
    }

    impl Sign for Keeper {
        fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], String> {
            self.key.signature(&(self.spoil)(bytes)?).map_err(|error| error.to_string())
        }
    }

    #[test]
    fn whoever_keeps_the_key_is_not_believed() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string());
        let peter = Signer::parse(PETER_PRIVATE).unwrap();
        let kept = |name: &str, seed: &[u8; 32], spoil| {
            let keeper = Keeper { key: Signer::generate(name, seed).unwrap(), spoil };
            Signer::elsewhere(keeper.key.verifier().clone(), Arc::new(keeper))
        };
        // The note is the same to the byte, and nothing of the key is here.
        let honest = Keeper { key: peter.clone(), spoil: text };
        let signer = Signer::elsewhere(peter.verifier().clone(), Arc::new(honest));
        assert_eq!(signer.sign(TEXT).unwrap(), format!("{TEXT}\n{BY_PETER}"));
        assert_eq!(signer.private_key(), None);
        // Another text, another key, none.
        let other = kept("a", &[1; 32], |_| Ok("other\n".to_owned()));
        assert_eq!(other.sign(TEXT), Err(NoteError::BadSignature("a".to_owned())));
        let stranger = Keeper { key: Signer::generate("a", &[2; 32]).unwrap(), spoil: text };
        let stranger = Signer::elsewhere(other.verifier().clone(), Arc::new(stranger));
        assert_eq!(stranger.sign(TEXT), Err(NoteError::BadSignature("a".to_owned())));
        let none = kept("a", &[1; 32], |_| Err("it is closed".to_owned()));
        assert_eq!(none.sign(TEXT).unwrap_err().to_string(), "a did not sign: it is closed");
    }

    #[test]
    fn a_text_may_have_empty_lines() {
        let signer = Signer::generate("a", &[1; 32]).unwrap();
        for text in ["\n", "\n\n", "a\n\nb\n", "a\n\n", "\n\na\n\n\n"] {
            let note = signer.sign(text).unwrap();
            let read = Note::parse(note.as_bytes()).unwrap();
            assert_eq!(read.text(), text);
            assert!(read.verified_by(&[signer.verifier().clone()]).is_ok());
        }
    }

    #[test]
    fn keys_are_read_to_the_letter() {
        for (key, is_read) in [
            (PETER, (|text| Verifier::parse(text).is_ok()) as fn(&str) -> bool),
            (PETER_PRIVATE, |text| Signer::parse(text).is_ok()),
        ] {
            assert!(is_read(key));
            for from in 0..key.len() {
                for to in from..=key.len() {
                    assert!(from == 0 && to == key.len() || !is_read(&key[from..to]), "{}", &key[from..to]);
                }
            }
            for at in 0..key.len() {
                let mut bytes = key.as_bytes().to_vec();
                bytes[at] += 1;
                assert!(!is_read(std::str::from_utf8(&bytes).unwrap()), "{at}");
            }
        }
        // The wrong length and an unknown algorithm, with ids to match (from Go's tests).
        for key in [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(matches!(Verifier::parse(key), Err(NoteError::BadKey(_))), "{key}");
        }
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{202e}b", "a\nb", "a\u{200b}b"] {
            assert!(Signer::generate(name, &[1; 32]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_key_that_everybody_can_sign_for_is_refused() {
        // The neutral point: R = 0, s = 0 would verify.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let text = format!("a+{:08x}+{}", key_id("a", ED25519, &neutral), STANDARD.encode(typed(&neutral)));
        assert!(matches!(Verifier::parse(&text), Err(NoteError::BadKey(_))));
    }

    #[test]
    fn nothing_of_a_private_key_is_shown() {
        let signer = Signer::parse(PETER_PRIVATE).unwrap();
        assert_eq!(format!("{signer:?}"), "Signer { name: \"PeterNeumann\", .. }");
        let broken = PETER_PRIVATE.replace("c74f20a3", "c74f20a4");
        let error = Signer::parse(&broken).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("AYEKFALV"));
    }

    proptest! {
        /// Every bit of the text and of the signature counts.
        #[test]
        fn a_flipped_bit_is_refused(at in 0..TEXT.len() + 1 + BY_PETER.len(), bit in 0_u8..8) {
            let mut note = format!("{TEXT}\n{BY_PETER}").into_bytes();
            note[at] ^= 1 << bit;
            let known = [verifier(PETER)];
            let read = Note::parse(&note).and_then(|note| note.verified_by(&known).map(|signed| signed.len()));
            prop_assert!(read.is_err(), "{:?}", String::from_utf8_lossy(&note));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), text in ".{0,80}") {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(format!("{TEXT}\n{BY_PETER}{text}\n").as_bytes());
            let _ = (Verifier::parse(&text), Signer::parse(&text));
        }
    }
}
