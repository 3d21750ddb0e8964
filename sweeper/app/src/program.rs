//! Programs that are run with something on their standard input, for a time at the most.

use std::{
    io::{self, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How much of a program's complaint is shown, bytes.
const COMPLAINT: u64 = 500;
/// How long is waited for what a program wrote before it ended: somebody it started may still hold the pipe.
const LATE: Duration = Duration::from_secs(1);

/// Runs a program, and waits for its end. Gives what it wrote on its standard output, up to `most` bytes and one more;
/// the rest is read and dropped.
///
/// # Errors
/// When it did not start, read all of the input or end well and in time: a lowercase fragment with what it said.
pub fn run(mut command: Command, input: Vec<u8>, most: u64, timeout: Duration) -> Result<Vec<u8>, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("`{name}` did not start: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let writer = std::thread::spawn(move || {
        // A program that does not read is judged by how it ends.
        stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&input))
    });
    let (wrote, complained) = (read(stdout, most.saturating_add(1)), read(stderr, COMPLAINT));
    let status = ended(&mut child, timeout).map_err(|error| format!("`{name}` was lost: {error}"))?;
    let Some(status) = status else {
        return Err(format!("`{name}` did not end within {} seconds", timeout.as_secs_f32()));
    };
    if !status.success() {
        let complaint = complained.recv_timeout(LATE).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
        let said = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
        return Err(format!("`{name}` ended with {status}{said}"));
    }
    match writer.join() {
        Ok(Ok(())) => wrote.recv_timeout(LATE).map_err(|_| format!("`{name}` ended, and its output did not")),
        _ => Err(format!("`{name}` ended without reading what it was given")),
    }
}

/// The beginning of what comes out of a pipe.
fn read(pipe: Option<impl io::Read + Send + 'static>, most: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sent, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(most).read_to_end(&mut bytes);
            // The rest is read, so that the program is not stopped by a full pipe, and is dropped.
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        // Nobody may wait any more.
        let _ = sent.send(bytes);
    });
    received
}

/// How a program ended; `None` when it was killed for taking too long.
fn ended(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
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
