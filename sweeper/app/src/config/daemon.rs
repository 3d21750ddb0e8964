//! `[daemon]`: where a daemon can be asked how it is.

use super::{Reader, Table};
use std::{net::SocketAddr, time::Duration};

const DAEMON: &[&str] = &["listen", "beyond_loopback", "longest_run"];

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Where it answers; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// After this long a run is ended.
    pub longest_run: Duration,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9465))), longest_run: Duration::from_hours(6) }
    }
}

impl Reader<'_> {
    pub(super) fn daemon(&mut self, table: &Table<'_>, daemon: &mut Daemon) {
        self.known(table, DAEMON);
        let is_public = self.truth(table, "beyond_loopback").unwrap_or(false);
        if let (Some(text), Some(value)) = (self.string(table, "listen"), table.get("listen")) {
            match text.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() || is_public => daemon.listen = Some(address),
                Ok(address) => {
                    let help =
                        "anybody who reaches it can read owners and costs: say `beyond_loopback = true` if that is \
                                meant, and put a proxy with TLS before it"
                            .to_owned();
                    let message = format!("`{address}` can be reached from outside this machine");
                    self.problem(value.span(), message, Some(help));
                }
                Err(_) if text == "off" => daemon.listen = None,
                Err(_) => {
                    let help = "write `127.0.0.1:9465`, port 0 for any free one, or `off`".to_owned();
                    self.problem(value.span(), "`listen` is an address with a port", Some(help));
                }
            }
        }
        if let Some(longest) = self.length(table, "longest_run") {
            daemon.longest_run = longest;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn read(text: &str) -> Result<Option<String>, String> {
        Config::parse("sweeper.toml", text, Path::new(""))
            .map(|config| config.daemon.listen.map(|address| address.to_string()))
            .map_err(|failure| failure.problems.concat())
    }

    #[test]
    fn nobody_outside_reaches_it_unless_that_is_said_twice() {
        assert_eq!(read("").unwrap().unwrap(), "127.0.0.1:9465");
        assert_eq!(read("[daemon]\nlisten = \"[::1]:0\"\n").unwrap().unwrap(), "[::1]:0");
        assert_eq!(read("[daemon]\nlisten = \"off\"\n").unwrap(), None);
        let refused = read("[daemon]\nlisten = \"0.0.0.0:9465\"\n").unwrap_err();
        assert!(refused.contains("2:10") && refused.contains("beyond_loopback = true"), "{refused}");
        let meant = "[daemon]\nlisten = \"0.0.0.0:9465\"\nbeyond_loopback = true\n";
        assert_eq!(read(meant).unwrap().unwrap(), "0.0.0.0:9465");
        for (text, said) in [
            ("[daemon]\nlisten = \"localhost:9465\"\n", "address with a port"),
            ("[daemon]\nlisten = 9465\n", "is a string"),
            ("[daemon]\nlistn = \"x\"\n", "did you mean `listen`?"),
            ("[daemon]\nlongest_run = \"long\"\n", "length of time"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(said), "{text}: {found}");
        }
    }
}
