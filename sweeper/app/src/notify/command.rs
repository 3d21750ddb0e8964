//! Notices as JSON to a program's standard input, without a shell.

use super::{
    escape::Target,
    notifier::{Message, Notifier, Way, Whole},
    wire::{Undelivered, Wire},
};
use crate::{config::Keys, program};
use async_trait::async_trait;
use serde::Serialize as _;
use std::{collections::BTreeSet, process, time::Duration};
use sweeper_core::inert::InertJson;

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(30);

pub const KEYS: &[&str] = &["command", "env"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = None;

/// A program. It sees `PATH`, `HOME`, and these variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub program: Vec<String>,
    pub env: BTreeSet<String>,
}

impl Command {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        let own = Self { program: keys.list("command"), env: keys.list("env").into_iter().collect() };
        if !keys.has("command") {
            keys.needed("command");
        }
        (!own.program.is_empty()).then_some(own)
    }

    fn json(message: &Message<'_>) -> Result<Vec<u8>, Undelivered> {
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, InertJson);
        message.notice.serialize(&mut serializer).map_err(|error| Undelivered::refused(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }
}

impl Notifier for Command {
    fn most(&self) -> usize {
        1000
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        Ok(String::from_utf8_lossy(&Self::json(message)?).into_owned())
    }

    fn way(&self) -> Way<'_> {
        Way::Whole(self)
    }
}

#[async_trait]
impl Whole for Command {
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered> {
        let json = Self::json(message)?;
        let Some((name, arguments)) = self.program.split_first() else {
            return Err(Undelivered::refused("it names no program"));
        };
        let mut command = process::Command::new(name);
        command.args(arguments).env_clear();
        // No credentials of clouds: only what it was given.
        for key in ["PATH", "HOME"].into_iter().chain(self.env.iter().map(String::as_str)) {
            if let Some(value) = std::env::var_os(key) {
                command.env(key, value);
            }
        }
        let timeout = TIMEOUT.min(wire.timeout() * 2);
        let ended = tokio::task::spawn_blocking(move || program::run(command, json, 0, timeout)).await;
        ended.map_err(|error| Undelivered::later(error.to_string()))?.map(|_| None).map_err(Undelivered::later)
    }
}
