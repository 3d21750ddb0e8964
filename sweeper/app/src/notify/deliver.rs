//! Delivering a notice: only what came back as delivered counts.

use super::Notice;
use crate::{
    config::{By, Channel},
    program,
};
use serde::Serialize as _;
use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::Command,
    time::Duration,
};
use sweeper_core::{inert::InertJson, store::document::part};

/// How long a program may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Delivers a notice, or says why it was not: a lowercase fragment.
pub fn deliver(channel: &Channel, notice: &Notice, timeout: Duration) -> Result<(), String> {
    match &channel.by {
        By::File(directory) => file(directory, notice).map_err(|error| error.to_string()),
        By::Command { program: words, env } => {
            let mut json = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut json, InertJson);
            notice.serialize(&mut serializer).map_err(|error| error.to_string())?;
            json.push(b'\n');
            let Some((name, arguments)) = words.split_first() else { return Err("it names no program".to_owned()) };
            let mut command = Command::new(name);
            command.args(arguments).env_clear();
            // No credentials of clouds: only what it was given.
            for key in ["PATH", "HOME"].into_iter().chain(env.iter().map(String::as_str)) {
                if let Some(value) = std::env::var_os(key) {
                    command.env(key, value);
                }
            }
            program::run(command, json, 0, timeout).map(drop)
        }
    }
}

/// A file an owner and run; written whole, and durable before it counts.
fn file(directory: &Path, notice: &Notice) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let owner = part(notice.to.as_deref().unwrap_or("nobody"));
    let day = notice.made.get(..10).unwrap_or("notice");
    let path = directory.join(format!("{day}-{}-{}.txt", owner.trim_start_matches('.'), part(&notice.run)));
    let mut whole = crate::output::Whole::create(&path)?;
    whole.write_all(notice.text.as_bytes())?;
    whole.keep()?;
    // The name as well as the content.
    fs::File::open(directory)?.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::notify::FORMAT;
    use std::{collections::BTreeSet, path::PathBuf};
    use sweeper_core::money::Amount;

    fn notice() -> Notice {
        Notice {
            format: FORMAT,
            run: "r1".to_owned(),
            channel: "c".to_owned(),
            to: Some("alice@example.com".to_owned()),
            made: "2026-11-02T08:00:00Z".to_owned(),
            monthly_usd: Amount::ZERO,
            new: Vec::new(),
            pending: Vec::new(),
            text: "hello\n".to_owned(),
        }
    }

    fn by(by: By) -> Result<(), String> {
        deliver(&Channel { name: "c".to_owned(), by, per_day: 1 }, &notice(), Duration::from_millis(500))
    }

    fn program(words: &[&str]) -> By {
        By::Command { program: words.iter().map(|word| (*word).to_owned()).collect(), env: BTreeSet::new() }
    }

    #[test]
    fn only_what_came_back_as_delivered_counts() {
        let place = std::env::temp_dir().join(format!("sweeper-notices-{}", std::process::id()));
        by(By::File(place.clone())).unwrap();
        let files: Vec<PathBuf> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "hello\n");
        // A place that is a file takes no notice.
        assert!(by(By::File(files[0].clone())).is_err());
        fs::remove_dir_all(&place).unwrap();

        by(program(&["cat"])).unwrap();
        assert!(by(program(&["false"])).unwrap_err().contains("ended with"));
        assert!(by(program(&["/no/such/program"])).unwrap_err().contains("did not start"));
        assert!(by(program(&["sleep", "20"])).unwrap_err().contains("did not end within"));
        let bounced = by(program(&["sh", "-c", "cat > /dev/null; echo no such user >&2; exit 1"])).unwrap_err();
        assert!(bounced.ends_with(": no such user"), "{bounced}");
    }
}
