//! `[[channel]]`: how owners are told. The deployer's; a policy only names them.

use super::{Reader, Span, Table};
use std::{collections::BTreeSet, path::PathBuf};

/// How many notices a channel carries in 24 hours where the config does not say.
const PER_DAY: u32 = 50;
const CHANNEL: &[&str] = &["name", "file", "command", "env", "notices_per_day"];

/// One `[[channel]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub by: By,
    pub per_day: u32,
}

/// How a notice goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// As a file in a directory.
    File(PathBuf),
    /// To a program's standard input, without a shell. It sees `PATH`, `HOME`, and these variables.
    Command { program: Vec<String>, env: BTreeSet<String> },
}

impl Reader<'_> {
    pub(super) fn channel(&mut self, span: &Span, table: &Table<'_>, channels: &mut Vec<Channel>) {
        self.known(table, CHANNEL);
        let Some(name) = self.string(table, "name") else {
            if !table.contains_key("name") {
                self.problem(
                    span.clone(),
                    "a channel needs `name`",
                    Some("policies name it: `tell = [\"…\"]`".to_owned()),
                );
            }
            return;
        };
        if name.contains(|letter: char| letter == ',' || letter.is_control()) {
            self.problem(span.clone(), "a channel's name has no commas", None);
        }
        if channels.iter().any(|known| known.name == name) {
            self.problem(span.clone(), format!("there are two channels `{name}`"), None);
        }
        let file = self.string(table, "file").map(|path| self.beside.join(path));
        let program = self.list(table, "command");
        let env = self.list(table, "env").into_iter().collect();
        let by = match (file, program.is_empty()) {
            (Some(directory), true) => By::File(directory),
            (None, false) => By::Command { program, env },
            _ => {
                let help = "a webhook, SMTP or Slack goes through a `command` for now".to_owned();
                let message = format!("the channel `{name}` needs one of `file` and `command`");
                self.problem(span.clone(), message, Some(help));
                return;
            }
        };
        let per_day = self.number(table, "notices_per_day").unwrap_or(PER_DAY);
        channels.push(Channel { name, by, per_day });
    }
}
