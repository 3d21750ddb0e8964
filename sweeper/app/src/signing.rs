//! Whose key signs: one in a file, or one that a program reaches, such as a cloud's key service.

use crate::{
    exit::{Exit, Failure},
    program,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use sweeper_core::note::{NoteError, Sign, Signer, Verifier};

/// How long a program may take to sign.
const TIMEOUT: Duration = Duration::from_mins(1);
/// The longest output that may be a signature, bytes: base64 with line ends.
const LONGEST: u64 = 200;
/// What stands before the 32 bytes of a public key in its usual encoding (RFC 8410: the DER of `SubjectPublicKeyInfo`).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Whose key signs.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The key to sign with, or to make
    #[arg(long, value_name = "FILE", env = "SWEEPER_KEY")]
    pub key: Option<PathBuf>,
    /// A program that signs instead: it is given the bytes on its standard input, and writes the 64 bytes of their
    /// Ed25519 signature, or these in base64. Words as a shell has them; no shell runs it
    #[arg(long, value_name = "COMMAND", requires = "public_key", conflicts_with = "key")]
    pub signer_command: Option<String>,
    /// The public key of that program, as the config's [[approver]] has it
    #[arg(long, value_name = "KEY", value_parser = verifier, requires = "signer_command")]
    pub public_key: Option<Box<Verifier>>,
    /// Print the text instead, for `ssh-keygen -Y sign -n sweeper`, as this person's
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "signer_command"])]
    pub text_by: Option<String>,
}

fn verifier(text: &str) -> Result<Box<Verifier>, NoteError> {
    Verifier::parse(text).map(Box::new)
}

impl Args {
    /// The key; `None` with `--text-by`.
    pub fn signer(&self) -> Result<Option<Signer>, Failure> {
        if self.text_by.is_some() {
            return Ok(None);
        }
        if let (Some(command), Some(verifier)) = (&self.signer_command, &self.public_key) {
            let words = shlex::split(command).filter(|words| !words.is_empty());
            let words = words.ok_or_else(|| {
                Failure::usage(format!("--signer-command: `{command}` is no command"))
                    .help("write it as in a shell: words, with quotes where one has a space")
            })?;
            return Ok(Some(by_program(verifier.as_ref().clone(), words)));
        }
        let path = self.key.as_deref().ok_or_else(|| {
            Failure::usage("--key FILE names the key to sign with").help(
                "`sweeper approve --new-key you@example.com --key FILE` makes one; --signer-command is for keys of a \
                 key service, --text-by for SSH keys",
            )
        })?;
        key(path).map(Some)
    }
}

/// A key in a file.
pub fn key(path: &Path) -> Result<Signer, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the key {}: {error}", path.display())))?;
    Signer::parse(text.trim())
        .map_err(|error| Failure::usage(format!("the key {} cannot be used: {error}", path.display())))
}

/// A key that a program reaches.
pub fn by_program(verifier: Verifier, words: Vec<String>) -> Signer {
    Signer::elsewhere(verifier, Arc::new(Program { words, timeout: TIMEOUT }))
}

/// Why there is no signature, with what to do about it.
pub fn failed(what: &str, error: &NoteError) -> Failure {
    match error {
        NoteError::Unsigned { .. } => Failure::usage(format!("{what} is not signed: {error}"))
            .help("run the program by hand with a text on its standard input: what it needs, it says"),
        NoteError::BadSignature(_) => Failure::new(Exit::Refused, format!("{what} is not signed: {error}")).help(
            "the program has another key than the public one that was named, or signs something else than the bytes \
             on its standard input: Ed25519 over them, not over a hash of them",
        ),
        _ => Failure::usage(format!("{what} cannot be signed: {error}")),
    }
}

/// A public key that a key service shows: PEM, or the base64 within.
pub fn public_key(name: &str, path: &Path) -> Result<Verifier, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the public key {}: {error}", path.display())))?;
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap_or_default();
    let key = der.strip_prefix(&SPKI).and_then(|key| <&[u8; 32]>::try_from(key).ok()).ok_or_else(|| {
        Failure::usage(format!("{} is no Ed25519 public key", path.display()))
            .help("PEM (`-----BEGIN PUBLIC KEY-----`), or its base64 alone, of a key of type Ed25519")
    })?;
    Verifier::of(name, key)
        .map_err(|error| Failure::usage(format!("the public key {} cannot be used: {error}", path.display())))
}

/// A program with the environment of this one, which key services take their credentials from.
struct Program {
    words: Vec<String>,
    timeout: Duration,
}

impl Sign for Program {
    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], String> {
        let Some((name, arguments)) = self.words.split_first() else { return Err("it names no program".to_owned()) };
        let mut command = Command::new(name);
        command.args(arguments);
        let wrote = program::run(command, bytes.to_vec(), LONGEST, self.timeout)?;
        if let Ok(raw) = <[u8; 64]>::try_from(wrote.as_slice()) {
            return Ok(raw);
        }
        let words: Vec<u8> = wrote.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = STANDARD.decode(words).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        decoded.ok_or_else(|| {
            let shown = String::from_utf8_lossy(wrote.get(..80).unwrap_or(&wrote)).trim().to_owned();
            format!("`{name}` wrote no signature, which is 64 bytes or these in base64, but `{shown}`")
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sign(words: &[&str]) -> Result<[u8; 64], String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Program { words, timeout: Duration::from_millis(500) }.sign(b"text\n")
    }

    #[test]
    fn what_a_program_wrote_is_64_bytes_or_base64() {
        assert_eq!(sign(&["sh", "-c", "cat >/dev/null; head -c 64 /dev/zero"]).unwrap(), [0; 64]);
        let lines = format!("cat >/dev/null; printf '%s\\n' {}", STANDARD.encode([7; 64]));
        assert_eq!(sign(&["sh", "-c", &lines]).unwrap(), [7; 64]);
        for (script, says) in [
            ("cat", "wrote no signature, which is 64 bytes or these in base64, but `text`"),
            ("cat >/dev/null", "wrote no signature"),
            ("cat >/dev/null; head -c 65 /dev/zero", "wrote no signature"),
            ("cat >/dev/null; echo no such key >&2; exit 3", "`sh` ended with exit status: 3: no such key"),
            ("sleep 20", "`sh` did not end within 0.5 seconds"),
        ] {
            let error = sign(&["sh", "-c", script]).unwrap_err();
            assert!(error.contains(says), "{script}: {error}");
        }
        assert!(sign(&["/no/such/program"]).unwrap_err().contains("did not start"));
        // Who does not read signs something else.
        let deaf = Program { words: vec!["true".to_owned()], timeout: TIMEOUT }.sign(&vec![0; 1 << 20]).unwrap_err();
        assert!(deaf.contains("without reading"), "{deaf}");
    }

    #[test]
    fn a_public_key_is_read_as_services_show_it() {
        let place = std::env::temp_dir().join(format!("sweeper-signing-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let signer = Signer::generate("a", &[1; 32]).unwrap();
        let der = STANDARD.encode([SPKI.as_slice(), signer.verifier().public_key()].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        for text in [&der, &pem] {
            fs::write(place.join("key"), text).unwrap();
            assert_eq!(&public_key("a", &place.join("key")).unwrap(), signer.verifier());
        }
        for text in ["", "x", &der[4..]] {
            fs::write(place.join("key"), text).unwrap();
            assert!(public_key("a", &place.join("key")).unwrap_err().message.contains("no Ed25519 public key"));
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
