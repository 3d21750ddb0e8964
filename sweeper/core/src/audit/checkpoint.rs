//! Signed heads of the log (<https://c2sp.org/tlog-checkpoint>): origin, size and root, as a note.

use super::merkle::Hash;
use crate::note::{Note, NoteError, Signer, Verifier};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;
use thiserror::Error;

/// Which log this is. Shown as `sweeper/<deployment>/<log id>`, the origin of its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub deployment: String,
    pub log_id: String,
}

impl Origin {
    pub fn new(deployment: impl Into<String>, log_id: impl Into<String>) -> Self {
        Self { deployment: deployment.into(), log_id: log_id.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sweeper/{}/{}", self.deployment, self.log_id)
    }
}

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    /// How many events it covers.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Signed, and yet not a checkpoint as this program writes them.
    #[error("it is not a checkpoint: {0}")]
    Form(&'static str),
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The checkpoint as a note.
    pub fn sign(&self, signer: &Signer) -> Result<String, NoteError> {
        signer.sign(&self.text())
    }

    /// Reads a note and says which of the keys signed it; only what one of them signed is read further.
    pub fn open<'a>(note: &[u8], keys: &'a [Verifier]) -> Result<(Self, Vec<&'a Verifier>), CheckpointError> {
        let note = Note::parse(note)?;
        let signed = note.verified_by(keys)?;
        Ok((Self::parse(note.text())?, signed))
    }

    /// Reads a text that somebody else has verified.
    ///
    /// # Errors
    /// When it is not to the letter what [`Checkpoint::text`] writes: extension lines, which the specification
    /// allows, would be words that nobody verifies.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(CheckpointError::Form("it has not three lines"));
        };
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        let root = root.ok_or(CheckpointError::Form("its root is not a hash"))?;
        let size = size.parse().map_err(|_| CheckpointError::Form("its size is not a number"))?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        if origin.is_empty() || checkpoint.text() != text {
            return Err(CheckpointError::Form("it is not written as it should be"));
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of c2sp.org/tlog-checkpoint and of Go's checksum database (golang.org/x/mod/sumdb/tlog).
    const SOFA: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const GO: &str = "go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n";

    #[test]
    fn reads_and_writes_what_others_write() {
        for text in [SOFA, GO] {
            assert_eq!(Checkpoint::parse(text).unwrap().text(), text);
        }
        let sofa = Checkpoint::parse(SOFA).unwrap();
        assert_eq!((sofa.origin.as_str(), sofa.size), ("example.com/behind-the-sofa", 20_852_163));
    }

    #[test]
    fn reads_nothing_else() {
        for (from, to) in [
            ("20852163", "020852163"),
            ("20852163", "+20852163"),
            ("20852163", "-1"),
            ("20852163", ""),
            ("CsUY", "CsU"),
            ("q2I=", "q2J="),
            ("q2I=\n", "q2I="),
            ("q2I=\n", "q2I=\nan extension\n"),
            ("q2I=\n", "q2I=\n\n"),
            ("example.com/behind-the-sofa", ""),
        ] {
            let text = SOFA.replacen(from, to, 1);
            assert!(matches!(Checkpoint::parse(&text), Err(CheckpointError::Form(_))), "{text:?}");
        }
    }

    #[test]
    fn only_what_a_known_key_signed_is_read() {
        let (ours, other) = (Signer::generate("a", &[1; 32]).unwrap(), Signer::generate("b", &[2; 32]).unwrap());
        let keys = [ours.verifier().clone()];
        let head = Checkpoint { origin: Origin::new("d", "main").to_string(), size: 3, root: [7; 32] };
        assert_eq!(head.origin, "sweeper/d/main");
        let note = head.sign(&ours).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), &keys).unwrap(), (head.clone(), vec![&keys[0]]));
        let foreign = head.sign(&other).unwrap();
        assert_eq!(Checkpoint::open(foreign.as_bytes(), &keys), Err(NoteError::Unverified.into()));
        let edited = note.replacen("\n3\n", "\n4\n", 1);
        assert!(matches!(
            Checkpoint::open(edited.as_bytes(), &keys),
            Err(CheckpointError::Note(NoteError::BadSignature(_)))
        ));
    }
}
