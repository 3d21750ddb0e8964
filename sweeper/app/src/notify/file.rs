//! Notices as files in a directory.

use super::{
    Notice,
    escape::Target,
    notifier::{Message, Notifier, Way, Whole},
    wire::{Undelivered, Wire},
};
use crate::config::Keys;
use async_trait::async_trait;
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use sweeper_core::store::document::part;

pub const KEYS: &[&str] = &["file"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = Some(Target::Plain);

/// A file an owner and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub directory: PathBuf,
}

impl File {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        keys.needed("file")?;
        keys.path("file").map(|directory| Self { directory })
    }
}

impl Notifier for File {
    fn most(&self) -> usize {
        1000
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        Ok(message.templated()?.unwrap_or_else(|| message.notice.text.clone()))
    }

    fn way(&self) -> Way<'_> {
        Way::Whole(self)
    }
}

#[async_trait]
impl Whole for File {
    async fn send(&self, message: &Message<'_>, _: &Wire) -> Result<Option<String>, Undelivered> {
        let text = self.preview(message)?;
        let (directory, notice) = (self.directory.clone(), message.notice.clone());
        let written = tokio::task::spawn_blocking(move || write(&directory, &notice, &text)).await;
        written
            .map_err(|error| Undelivered::later(error.to_string()))?
            .map(|name| Some(name.display().to_string()))
            .map_err(|error| Undelivered::later(error.to_string()))
    }
}

/// Written whole, and durable before it counts. The same notice has the same name.
fn write(directory: &Path, notice: &Notice, text: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let owner = part(notice.to.as_deref().unwrap_or("nobody"));
    let day = notice.made.get(..10).unwrap_or("notice");
    let path = directory.join(format!("{day}-{}-{}.txt", owner.trim_start_matches('.'), part(&notice.id)));
    let mut whole = crate::output::Whole::create(&path)?;
    whole.write_all(text.as_bytes())?;
    whole.keep()?;
    // The name as well as the content.
    fs::File::open(directory)?.sync_all()?;
    Ok(path)
}
