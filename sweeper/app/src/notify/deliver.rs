//! Delivering a notice: only what came back as delivered counts.

use super::Notice;
use crate::config::{By, Channel};
use serde::Serialize as _;
use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use sweeper_core::{inert::InertJson, store::document::part};

/// How long a program may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a program's complaint is shown, bytes.
const COMPLAINT: u64 = 500;

/// Delivers a notice, or says why it was not: a lowercase fragment.
pub fn deliver(channel: &Channel, notice: &Notice, timeout: Duration) -> Result<(), String> {
    match &channel.by {
        By::File(directory) => file(directory, notice).map_err(|error| error.to_string()),
        By::Command { program, env } => {
            let mut json = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut json, InertJson);
            notice.serialize(&mut serializer).map_err(|error| error.to_string())?;
            json.push(b'\n');
            let Some((name, arguments)) = program.split_first() else { return Err("it names no program".to_owned()) };
            let mut command = Command::new(name);
            command.args(arguments).env_clear();
            // No credentials of clouds: only what it was given.
            for key in ["PATH", "HOME"].into_iter().chain(env.iter().map(String::as_str)) {
                if let Some(value) = std::env::var_os(key) {
                    command.env(key, value);
                }
            }
            run(command, json, timeout)
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

/// Runs a program with a text on its standard input, and waits for its end.
fn run(mut command: Command, input: Vec<u8>, timeout: Duration) -> Result<(), String> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("`{name}` did not start: {error}"))?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let writer = std::thread::spawn(move || {
        // A program that does not read is judged by how it ends.
        stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&input))
    });
    let (complained, complaint) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.by_ref().take(COMPLAINT).read_to_end(&mut text);
            // The rest is read, so that the program is not stopped by a full pipe, and is dropped.
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        let _ = complained.send(String::from_utf8_lossy(&text).trim().to_owned());
    });
    let status = ended(&mut child, timeout).map_err(|error| format!("`{name}` was lost: {error}"))?;
    let Some(status) = status else {
        return Err(format!("`{name}` did not end within {} seconds", timeout.as_secs()));
    };
    let complaint = complaint.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    if !status.success() {
        let said = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
        return Err(format!("`{name}` ended with {status}{said}"));
    }
    match writer.join() {
        Ok(Ok(())) => Ok(()),
        _ => Err(format!("`{name}` ended without reading the notice")),
    }
}

/// How a program ended; `None` when it was killed for taking too long.
fn ended(child: &mut Child, timeout: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if waited >= timeout {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
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
