//! Delivering a notice: only what came back as delivered counts. Tried a few times, and not for long.

use super::{
    Notice,
    notifier::{Message, Way, groups},
    outbox::Thread,
    wire::{Undelivered, Wire},
};
use crate::config::Channel;
use std::{collections::BTreeMap, time::Duration};
use sweeper_core::clock::Clock;

/// How often a notice is tried within a run.
const TRIES: u32 = 3;
/// The first wait between two tries; the next is twice as long.
const WAIT: Duration = Duration::from_secs(1);
/// The longest that a run waits for a service that asks it to; what asks for more is tried by a later run.
const PATIENCE: Duration = Duration::from_secs(20);

/// A notice that was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// What the service calls it.
    pub receipt: Option<String>,
}

/// Delivers a notice, or says why it was not. What is opened at the service is kept in `threads`, also where the rest
/// was not delivered.
pub async fn deliver(
    channel: &Channel,
    notice: &Notice,
    wire: &Wire,
    clock: &dyn Clock,
    threads: &mut BTreeMap<String, Thread>,
) -> Result<Delivered, Undelivered> {
    let mut wait = WAIT;
    for _ in 1..TRIES {
        let error = match once(channel, notice, wire, threads).await {
            Err(error @ Undelivered::Later { .. }) => error,
            ended => return ended,
        };
        let Undelivered::Later { after, .. } = &error else { return Err(error) };
        let asked = after.map_or(wait, |after| after.max(wait));
        if asked > PATIENCE {
            return Err(error);
        }
        clock.sleep_until(clock.mono() + asked).await;
        wait *= 2;
    }
    once(channel, notice, wire, threads).await
}

async fn once(
    channel: &Channel,
    notice: &Notice,
    wire: &Wire,
    threads: &mut BTreeMap<String, Thread>,
) -> Result<Delivered, Undelivered> {
    let message = Message::of(notice, channel);
    match channel.by.notifier().way() {
        Way::Whole(own) => Ok(Delivered { receipt: own.send(&message, wire).await? }),
        Way::Threads(own) => {
            let mut opened = Vec::new();
            for group in groups(notice) {
                let known = threads.get(&group.key).cloned();
                // An earlier try came as far as this.
                let has_it = known
                    .as_ref()
                    .is_some_and(|known| known.rows.is_superset(&group.rows) && known.notice == notice.id);
                if has_it {
                    opened.extend(known.map(|known| known.remote));
                    continue;
                }
                let part = part(notice, group.policy, group.alert.map(|alert| alert.subject.as_str()));
                let remote = own.raise(&Message { notice: &part, ..message }, &group, known.as_ref(), wire).await?;
                let mut thread = group.thread(remote.clone(), &notice.id);
                thread.rows.extend(known.into_iter().flat_map(|known| known.rows));
                threads.insert(group.key.clone(), thread);
                opened.push(remote);
            }
            opened.sort();
            Ok(Delivered { receipt: (!opened.is_empty()).then(|| super::escape::short(&opened.join(","), 200)) })
        }
    }
}

/// What of a notice one ticket says.
fn part(notice: &Notice, policy: &str, subject: Option<&str>) -> Notice {
    let mut part = notice.clone();
    part.new.retain(|item| subject.is_none() && item.policy == policy);
    part.pending.retain(|item| subject.is_none() && item.policy == policy);
    part.alerts.retain(|alert| alert.policy == policy && subject == Some(alert.subject.as_str()));
    part
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::notify::{By, command::Command, file::File};
    use std::{collections::BTreeSet, fs, path::PathBuf};
    use sweeper_core::clock::VirtualClock;

    fn by(by: By) -> Result<Delivered, Undelivered> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut notice = Notice::samples().remove(0);
        "hello\n".clone_into(&mut notice.text);
        let wire = Wire::new(Duration::from_millis(500));
        let clock = VirtualClock::new(sweeper_core::model::Timestamp(0));
        runtime.block_on(deliver(&Channel::new("c", by), &notice, &wire, &clock, &mut BTreeMap::new()))
    }

    fn program(words: &[&str]) -> By {
        By::Command(Command { program: words.iter().map(|word| (*word).to_owned()).collect(), env: BTreeSet::new() })
    }

    #[test]
    fn only_what_came_back_as_delivered_counts() {
        let place = std::env::temp_dir().join(format!("sweeper-notices-{}", std::process::id()));
        by(By::File(File { directory: place.clone() })).unwrap();
        // Delivered again it is the same file.
        by(By::File(File { directory: place.clone() })).unwrap();
        let files: Vec<PathBuf> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "hello\n");
        // A place that is a file takes no notice.
        assert!(by(By::File(File { directory: files[0].clone() })).is_err());
        fs::remove_dir_all(&place).unwrap();

        by(program(&["cat"])).unwrap();
        let failed = |words: &[&str]| by(program(words)).unwrap_err().why().to_owned();
        assert!(failed(&["false"]).contains("ended with"));
        assert!(failed(&["/no/such/program"]).contains("did not start"));
        assert!(failed(&["sleep", "20"]).contains("did not end within"));
        let bounced = failed(&["sh", "-c", "cat > /dev/null; echo no such user >&2; exit 1"]);
        assert!(bounced.ends_with(": no such user"), "{bounced}");
    }
}
