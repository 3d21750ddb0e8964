//! The audit log on a disk: how long until an intent is durable, beside what the disk itself takes; and how fast and in
//! how much memory a log of a million events is verified.
//!
//! `cargo bench -p sweeper-store --bench audit`, in the directory for temporary files (`TMPDIR`).

#![expect(clippy::print_stdout, reason = "a benchmark prints what its clock says")]

#[path = "../../core/benches/audit/deletion.rs"]
mod deletion;

use deletion::deletion;
use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{BufRead, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use sweeper_core::{
    audit::{self, Log, LogError, Millis, Origin, SEGMENT, Trail, TrailConfig, TrustedKey, Verify},
    note::{NoteError, Signer},
    store::{MemoryStore, Store as _},
};
use sweeper_store::{FileLog, SqliteStore};

const START: Millis = Millis(1_795_176_000_000);
const EVENTS: u32 = 1_000_000;
const INTENTS: u32 = 2000;

fn signer() -> Result<Signer, NoteError> {
    Signer::generate("sweeper/bench", &[7; 32])
}

/// As `sweeper apply` writes: a signed head after 64 events.
fn config() -> Result<TrailConfig, NoteError> {
    let origin = Origin::new("5f0c5f2e6d0b4c1e9f430d6a4d3d6a11", "main");
    Ok(TrailConfig { origin, run: "bench".to_owned(), epoch: 1, signer: signer()?, earlier: Vec::new(), every: 64 })
}

/// The files of a [`FileLog`], written without waiting for the disk: only to make a large log soon.
struct Unsynced(PathBuf);

fn unwritable(error: std::io::Error) -> LogError {
    LogError::Unwritable(error.to_string())
}

impl Log for Unsynced {
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
        for (number, line) in (first..).zip(lines) {
            let path = self.0.join("seg").join(format!("{:012}.jsonl", number - number % SEGMENT));
            let bytes = [line.as_slice(), b"\n"].concat();
            let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(unwritable)?;
            file.write_all(&bytes).map_err(unwritable)?;
        }
        Ok(())
    }
    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
        let kept = self.0.join("checkpoint").join(format!("{size:012}"));
        fs::write(kept, note).and_then(|()| fs::write(self.0.join("latest"), note)).map_err(unwritable)
    }
    fn segments(&self, _: u64) -> Result<Vec<u64>, LogError> {
        Ok(Vec::new())
    }
    fn read(&self, _: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
        Err(LogError::Stopped)
    }
    fn cut(&self, _: u64, _: u64) -> Result<(), LogError> {
        Err(LogError::Stopped)
    }
    fn stride(&self) -> Option<u64> {
        Some(SEGMENT)
    }
    fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        Ok(Vec::new())
    }
    fn checkpoint(&self, _: u64) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }
    fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }
}

/// The largest resident memory of this process so far, MiB.
fn peak() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Run in a process of its own, whose memory is that of verifying alone.
fn verify(directory: &Path) -> Result<(), Box<dyn Error>> {
    let (log, before) = (FileLog::open_to_read(directory), peak());
    let (keys, origin) = ([TrustedKey::new(signer()?.verifier().clone())], config()?.origin);
    let (began, cpu) = (Instant::now(), cpu_seconds().unwrap_or_default());
    let verdict = audit::verify(&log, Verify { origin: &origin, keys: &keys, known: &[], max_silence: None })?;
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds().unwrap_or_default() - cpu);
    println!(
        "{} events on disk verified, {}: {wall:.2} s by the clock, {cpu:.2} CPU s ({:.0} a CPU second), peak {:.1} MiB, \
         {:.1} MiB of it before",
        verdict.events,
        if verdict.is_sound() { "sound" } else { "DAMAGED" },
        verdict.events as f64 / cpu,
        peak().unwrap_or_default(),
        before.unwrap_or_default()
    );
    Ok(())
}

fn milliseconds(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    format!("p50 {:.3} ms, p99 {:.3} ms", at(50), at(99))
}

/// Intents one by one, each beside a bare append of as many bytes on the same disk in the same moment.
fn durable(directory: &Path) -> Result<(), Box<dyn Error>> {
    let log = Arc::new(FileLog::open(&directory.join("log"))?);
    let store = Arc::new(SqliteStore::open(&directory.join("state.db"))?);
    let (trail, _) = Trail::open(log, Arc::clone(&store) as _, config()?, START)?;
    let mut bare = OpenOptions::new().create(true).append(true).open(directory.join("bare"))?;
    let (mut disk, mut intents, mut claims) = (Vec::new(), Vec::new(), Vec::new());
    for item in 0..INTENTS {
        let [intent, ..] = deletion(item);
        let began = Instant::now();
        bare.write_all(&[b'x'; 700])?;
        bare.sync_data()?;
        disk.push(began.elapsed());
        let began = Instant::now();
        store.put_if(&format!("claims/{item}"), &[b'x'; 300], None)?;
        claims.push(began.elapsed());
        let began = Instant::now();
        trail.record(START, intent)?;
        intents.push(began.elapsed());
    }
    let both = claims.iter().zip(&intents).map(|(claim, intent)| *claim + *intent).collect();
    println!("{INTENTS} intents, a head signed and remembered after each 64:");
    println!("  the disk's own append and fdatasync  {}", milliseconds(disk));
    println!("  an intent durable in the log         {}", milliseconds(intents));
    println!("  a claim durable in SQLite            {}", milliseconds(claims));
    println!("  a claim and its intent               {}", milliseconds(both));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, directory] = &arguments[..]
        && verb == "verify"
    {
        return verify(Path::new(directory));
    }
    let directory = std::env::temp_dir().join(format!("sweeper-audit-bench-{}", std::process::id()));
    let large = directory.join("large");
    for part in ["seg", "checkpoint"] {
        fs::create_dir_all(large.join(part))?;
    }
    let measured = (|| {
        durable(&directory)?;
        let (trail, _) =
            Trail::open(Arc::new(Unsynced(large.clone())), Arc::new(MemoryStore::new()), config()?, START)?;
        for item in 0..EVENTS.div_ceil(3) {
            let at = Millis(START.0 + i64::from(item));
            trail.record_all(at, &deletion(item))?;
        }
        trail.flush()?;
        let ended = Command::new(std::env::current_exe()?).arg("verify").arg(&large).status()?;
        if ended.success() { Ok(()) } else { Err(format!("verifying ended with {ended}").into()) }
    })();
    fs::remove_dir_all(&directory)?;
    measured
}
