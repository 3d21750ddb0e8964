//! Where measures go when a run ends: a text file, a Pushgateway, an OTLP endpoint. None of it changes what a run says;
//! what cannot be handed over is a warning, and none waits longer than its timeout.

use super::{Measures, catalogue, otlp, push};
use crate::{
    commands::random_id,
    config::Config,
    exit::{Exit, Failure},
    log, output,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::clock::{Clock as _, SystemClock};

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its id.
    pub run: String,
    pub exit: Exit,
    pub measures: Measures,
}

/// Where the measures of this process go.
#[derive(Clone, Debug)]
pub struct Export {
    textfile: Option<PathBuf>,
    push: Option<push::Group>,
    otlp: Option<otlp::Endpoint>,
    timeout: Duration,
}

impl Export {
    /// From an argument, the config, and the environment of OpenTelemetry.
    pub fn new(file: Option<&Path>, config: &Config) -> Self {
        let own = &config.measures;
        let otlp = otlp::Endpoint::of(&|name| std::env::var(name).ok()).unwrap_or_else(|why| {
            log::warn(&format!("no measures go to OTLP: {why}"));
            None
        });
        Self {
            textfile: file.map(Path::to_owned).or_else(|| own.textfile.clone()),
            push: own.push.as_ref().map(|url| push::Group {
                url: url.clone(),
                job: own.job.clone(),
                instance: own.instance.clone().unwrap_or_else(|| config.deployment.clone()),
            }),
            otlp,
            timeout: own.timeout,
        }
    }

    /// Only to a file: for what reads nothing else and asks nobody.
    pub fn file(file: Option<&Path>) -> Self {
        Self { textfile: file.map(Path::to_owned), push: None, otlp: None, timeout: Duration::ZERO }
    }

    /// Runs a command that looks, and hands over what it measured, also where it fails.
    pub async fn of(
        self,
        name: &'static str,
        command: impl Future<Output = Result<Measured, Failure>> + Send,
    ) -> Result<Exit, Failure> {
        // Found out before the work.
        output::writable(self.textfile.as_deref()).map_err(|error| {
            let path = self.textfile.as_deref().unwrap_or(Path::new("")).display();
            Failure::usage(format!("failed to write the measures to {path}: {error}"))
        })?;
        let clock = SystemClock::default();
        let started = clock.wall();
        let ended = Box::pin(command).await;
        let finished = clock.wall();
        match ended {
            Ok(Measured { run, exit, mut measures }) => {
                // What was done after the look may have failed.
                measures.set(&catalogue::EXIT, &[], u64::from(exit.code()));
                let span = otlp::Span { run, name, started, finished, exit: exit.code() };
                self.send(measures, &span).await;
                Ok(exit)
            }
            Err(failure) => {
                let run = random_id().unwrap_or_default();
                let span = otlp::Span { run, name, started, finished, exit: failure.exit.code() };
                self.send(Measures::failed(failure.exit, started, finished), &span).await;
                Err(failure)
            }
        }
    }

    /// Writes the file. What this process takes is put to it.
    pub fn write(&self, measures: Measures) {
        self.file_of(&measures.and(Measures::process()));
    }

    fn file_of(&self, measures: &Measures) {
        if let Some(path) = &self.textfile
            && let Err(error) = measures.write(path)
        {
            log::warn(&format!("the measures are not in {}: {error}", path.display()));
        }
    }

    /// Hands them over, everywhere at once.
    async fn send(&self, measures: Measures, span: &otlp::Span) {
        let measures = &measures.and(Measures::process());
        self.file_of(measures);
        let push = async {
            let Some(group) = &self.push else { return };
            match tokio::time::timeout(self.timeout, group.put(measures)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => log::warn(&format!("the measures are not in the Pushgateway: {why}")),
                Err(_) => {
                    let timeout = self.timeout;
                    log::warn(&format!("the measures are not in the Pushgateway: no answer in {timeout:?}"));
                }
            }
        };
        let otlp = async {
            let Some(endpoint) = &self.otlp else { return };
            let timeout = endpoint.timeout.min(self.timeout);
            match tokio::time::timeout(timeout, endpoint.send(measures, span)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => log::warn(&format!("the measures are not where OTLP goes: {why}")),
                Err(_) => log::warn(&format!("the measures are not where OTLP goes: no answer in {timeout:?}")),
            }
        };
        tokio::join!(push, otlp);
    }
}
