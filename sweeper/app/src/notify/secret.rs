//! Secrets of channels: the config names where one is, and never holds it. It is read when it is used, so that one that
//! was changed holds from the next notice on, and it is in no log, error or `Debug`.

use std::{fmt, path::PathBuf};

/// The longest that is read of a file.
const LARGEST: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a variable of the environment.
    Env(String),
    /// In a file, with or without a line end.
    File(PathBuf),
}

/// A secret that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened(String);

impl Opened {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl Secret {
    /// Reads it, or says why not: a lowercase fragment that names the place.
    pub fn open(&self) -> Result<Opened, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| format!("the variable {name} is not set"))?,
            Self::File(path) => {
                let shown = path.display();
                let length = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?.len();
                if length > LARGEST {
                    return Err(format!("{shown} is no secret: it has {length} bytes"));
                }
                std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        let place = match self {
            Self::Env(name) => format!("the variable {name}"),
            Self::File(path) => path.display().to_string(),
        };
        if text.is_empty() {
            return Err(format!("{place} is empty"));
        }
        if text.contains(char::is_control) {
            return Err(format!("{place} has more than one line, or control characters"));
        }
        Ok(Opened(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_and_never_shown() {
        let path = std::env::temp_dir().join(format!("sweeper-secret-{}", std::process::id()));
        let file = Secret::File(path.clone());
        assert!(file.open().unwrap_err().contains("sweeper-secret"));
        std::fs::write(&path, "canary-1\n").unwrap();
        let opened = file.open().unwrap();
        assert_eq!(opened.reveal(), "canary-1");
        assert!(!format!("{opened:?} {file:?}").contains("canary"));
        for wrong in ["", "\n", "a\nb"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(file.open().is_err(), "{wrong:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Secret::Env("SWEEPER_NO_SUCH_VARIABLE".to_owned()).open().unwrap_err().contains("is not set"));
    }
}
