//! A daemon from outside: what it says, what it answers, and how it ends.

use super::Place;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use sweeper_core::store::Store as _;
use sweeper_store::SqliteStore;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// More lines than anything here says before what is waited for.
const LINES: usize = 500;

const EACH_SECOND: &str = "[[schedule]]\nname = \"busy\"\ncron = \"* * * * * *\"\noutput = \"reports\"\n";
const YEARLY: &str = "[[schedule]]\nname = \"yearly\"\ncron = \"@yearly\"\noutput = \"reports\"\n";
const POLICY: &str = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n";
const LISTEN: &str = "[daemon]\nlisten = \"127.0.0.1:0\"\n";

/// A daemon that runs. Killed at its end, if it is still there.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    fn start(place: &Place) -> Self {
        let mut child = place
            .command(&["daemon"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || err.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        Self { child, lines, said: Vec::new() }
    }

    /// The next line that holds this text.
    #[track_caller]
    fn says(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if self.said.len() < LINES => self.said.push(line),
                Ok(line) => panic!("`{text}` was not said in {LINES} lines, up to {line}"),
                Err(error) => panic!("`{text}` was not said ({error}):\n{}", self.said.join("\n")),
            }
            if let Some(line) = self.said.last().filter(|line| line.contains(text)) {
                return line.clone();
            }
        }
    }

    /// Where it listens.
    #[track_caller]
    fn address(&mut self) -> String {
        let line = self.says("listening on http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.chars().take_while(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ':')).collect()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for its end; everything it said.
    fn ended(mut self) -> (Option<i32>, Vec<String>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.said))
    }

    fn stopped(self, name: &str) -> (Option<i32>, Vec<String>) {
        self.signal(name);
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status line and the body of what is answered.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn what_cannot_be_a_daemon_is_refused_at_the_start() {
    let place = Place::new();
    let refused = |config: &str, said: &[&str]| {
        place.write("sweeper.toml", config);
        place.run(&["daemon"]).failed(2, said);
    };
    refused("[daemon]\nlisten = \"0.0.0.0:0\"\n", &["sweeper.toml:2:10", "beyond_loopback = true"]);
    refused(&format!("{EACH_SECOND}windows = [\"6-20\"]\n"), &["sweeper.toml:5:11", "is no window"]);
    refused(&format!("policies = \"none\"\n{YEARLY}"), &["failed to read policies from none"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("{YEARLY}[daemon]\nlisten = \"{address}\"\n");
    refused(&config, &[&format!("failed to listen on {address}"), "port 0 any free one"]);
}

#[test]
fn signals_end_it_with_their_codes() {
    let place = Place::new();
    place.write("sweeper.toml", &format!("{YEARLY}{LISTEN}"));
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut running = Running::start(&place);
        let address = running.address();
        running.says("next: yearly at ");
        assert_eq!(get(&address, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "alive\n".to_owned()));
        let (ended, said) = running.stopped(signal);
        assert_eq!(ended, Some(code), "{said:?}");
        assert!(TcpStream::connect(&address).is_err());
    }
}

#[test]
fn three_that_are_due_at_once_come_one_after_the_other() {
    let place = Place::new();
    let three = ["a", "b", "c"].map(|name| EACH_SECOND.replace("busy", name)).concat();
    place.write("sweeper.toml", &format!("state = \"state.db\"\n{three}{LISTEN}"));
    let mut running = Running::start(&place);
    for _ in 0..6 {
        running.says(" ended with ");
    }
    let (_, said) = running.stopped("TERM");
    let steps: Vec<(&String, bool)> = said
        .iter()
        .filter(|line| line.contains(" begins, ") || line.contains(" ended with "))
        .map(|line| (line, line.contains(" begins, ")))
        .collect();
    for (at, (line, begins)) in steps.iter().enumerate() {
        assert_eq!(*begins, at % 2 == 0, "{line}: {said:?}");
    }
    for name in ["a", "b", "c"] {
        assert!(count(&said, &format!("{name} ended with ")) > 0, "{name} waits for ever: {said:?}");
    }
}

#[test]
fn what_was_missed_is_made_up_for_once_however_many_start() {
    let place = Place::new();
    place.write("sweeper.toml", &format!("state = \"state.db\"\n{YEARLY}{LISTEN}"));
    let store = SqliteStore::open(&place.path("state.db")).unwrap();
    let last =
        r#"{"format":"sweeper.schedule/1","body":{"when":"@yearly; UTC; 0","at":1600000000,"run":"","ended":null}}"#;
    store.put_if("daemon/yearly", last.as_bytes(), None).unwrap();
    let mut three = [(); 3].map(|()| Running::start(&place));
    let mut begun = 0;
    for running in &mut three {
        running.says("next: yearly at ");
    }
    for running in three {
        let (_, said) = running.stopped("TERM");
        begun += count(&said, " begins, ");
        assert_eq!(count(&said, "were missed, and this one makes up for them"), count(&said, " begins, "), "{said:?}");
    }
    assert_eq!(begun, 1);
    let mut again = Running::start(&place);
    again.says("next: yearly at ");
    let (_, said) = again.stopped("TERM");
    assert_eq!(count(&said, " begins, "), 0, "{said:?}");
}

#[test]
fn outside_its_windows_a_run_waits_or_is_skipped_and_that_is_said() {
    let place = Place::new();
    // Two days from now in every zone on earth: not today, whenever midnight is.
    let far =
        jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).checked_add(jiff::Span::new().days(3)).unwrap();
    let day = far.strftime("%a").to_string();
    let windows = format!("windows = [\"{day} 00:00-24:00\"]\n");
    let skipping = EACH_SECOND.replace("busy", "skipping");
    let config = format!("state = \"state.db\"\n{EACH_SECOND}{windows}{skipping}{windows}outside = \"skip\"\n{LISTEN}");
    place.write("sweeper.toml", &config);
    let mut running = Running::start(&place);
    running.says("busy: due at ");
    assert!(running.said.last().unwrap().contains(", and waits for its window, which opens at "));
    running.says("skipping: due at ");
    assert!(running.said.last().unwrap().contains(", skipped: outside its windows"));
    running.says("skipping: due at ");
    assert_eq!(count(&running.said, "busy: due at "), 1, "it is said once");
    let (_, said) = running.stopped("TERM");
    assert_eq!(count(&said, " begins, "), 0, "{said:?}");
}

#[test]
fn policies_that_are_wrong_are_refused_and_the_old_ones_stay() {
    let place = Place::new();
    fs::create_dir_all(place.path("rules/.git")).unwrap();
    place.write("rules/.git/HEAD", "0123456789abcdef0123456789abcdef01234567\n");
    place.write("rules/a.toml", POLICY);
    place.write("sweeper.toml", &format!("policies = \"rules\"\nstate = \"state.db\"\n{YEARLY}{LISTEN}"));
    let mut running = Running::start(&place);
    let address = running.address();
    running.says("1 policy of rules at commit 0123456789ab");
    running.says("next: ");
    let is_ready = |status: &str, said: &str| {
        let (head, body) = get(&address, "/readyz");
        assert!(head.contains(status) && body.contains(said), "{said}: {head} {body}");
    };
    let measured = |row: &str| {
        let (_, page) = get(&address, "/metrics");
        assert!(page.contains(&format!("\n{row}\n")), "{row}: {page}");
    };
    is_ready("200", "ok policies: 1 policy of rules");
    measured("sweeper_policies_reload_failed 0");
    place.write("rules/b.toml", "[[policy]]\nname = \"half\nsweep = \"unattached-disk\"\n");
    running.signal("HUP");
    running.says("refused, 1 policy of rules");
    running.says("rules/b.toml:2:");
    is_ready("503", "rules/b.toml:2:");
    assert!(get(&address, "/healthz").0.contains("200"), "it is no reason to start it anew");
    measured("sweeper_policies_reload_failed 1");
    measured("sweeper_daemon_reloads_total{outcome=\"refused\"} 1");
    place.write("rules/b.toml", &POLICY.replace("disks", "more-disks"));
    running.signal("HUP");
    running.says("read anew, in force: 2 policies of rules");
    is_ready("200", "ok policies: 2 policies");
    measured("sweeper_policies_reload_failed 0");
    assert!(get(&address, "/metrics").1.contains("sweeper_policies_info{commit=\"0123456789abcdef"));
    assert_eq!(running.stopped("TERM").0, Some(143));
}

#[test]
fn policies_that_break_between_two_runs_are_noticed_by_the_next_and_it_comes() {
    let place = Place::new();
    fs::create_dir_all(place.path("rules")).unwrap();
    place.write("rules/a.toml", POLICY);
    place.write("sweeper.toml", &format!("policies = \"rules\"\nstate = \"state.db\"\n{EACH_SECOND}{LISTEN}"));
    let mut running = Running::start(&place);
    running.says("busy ended with ");
    place.write("rules/a.toml", &POLICY.replace("sweep", "swep"));
    running.says("refused, 1 policy of rules");
    running.says("rules/a.toml:3:1");
    running.says("busy ended with ");
    running.says("busy ended with ");
    let refused = count(&running.said, "refused, ");
    assert_eq!(refused, 1, "it is said once: {:?}", running.said);
    place.write("rules/a.toml", POLICY);
    running.says("read anew, in force: 1 policy of rules");
    assert_eq!(running.stopped("TERM").0, Some(143));
}

#[test]
fn a_state_that_cannot_be_reached_is_said_and_the_run_comes() {
    let place = Place::new();
    place.write("blocked", "a file, and no directory");
    place.write("sweeper.toml", &format!("state = \"sqlite:blocked/state.db\"\n{EACH_SECOND}{LISTEN}"));
    let mut running = Running::start(&place);
    let address = running.address();
    running.says("what was missed is not known: ");
    running.says("another daemon may run it too: ");
    running.says("busy ended with ");
    let (head, body) = get(&address, "/readyz");
    assert!(head.contains("503") && body.contains("not ready state: "), "{head} {body}");
    assert!(get(&address, "/metrics").1.contains("\nsweeper_state_reachable 0\n"));
    assert_eq!(running.stopped("TERM").0, Some(143));
}
