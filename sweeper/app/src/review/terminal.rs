//! The thin part of a review that has a terminal: takes it, reads keys, draws, and gives it back whatever happens.

use super::{
    model::{Effect, Key, Review},
    screen,
};
use ratatui_core::{
    layout::Rect,
    terminal::{Terminal, TerminalOptions, Viewport},
};
use ratatui_termion::{
    TermionBackend,
    termion::event::{self, Event},
};
use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read as _, Write as _},
    sync::{Mutex, PoisonError},
};
use terminal_size::{Height, Width, terminal_size_of};

/// The screen beside the one with what was printed before, and back again with the cursor shown.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";
/// How long a read waits for a key, tenths of a second: so often the size is looked at.
const WAIT: u8 = 2;

/// The terminal and how it was found, while it is taken.
static TAKEN: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Gives the terminal back, if it is taken.
pub fn restore() {
    let taken = match TAKEN.try_lock() {
        Ok(mut taken) => taken.take(),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
        Err(std::sync::TryLockError::WouldBlock) => None,
    };
    if let Some((mut tty, found)) = taken {
        let _ = tty.write_all(LEAVE).and_then(|()| tty.flush());
        let _ = tcsetattr(&tty, OptionalActions::Now, &found);
    }
}

/// Gives it back when the review ends, also by an error.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// The terminal of this process, not where its output goes.
fn tty() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn take(tty: &File) -> io::Result<Guard> {
    let found = tcgetattr(tty)?;
    let mut raw = found.clone();
    raw.make_raw();
    raw.special_codes[SpecialCodeIndex::VMIN] = 0;
    raw.special_codes[SpecialCodeIndex::VTIME] = WAIT;
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some((tty.try_clone()?, found));
    let guard = Guard;
    tcsetattr(tty, OptionalActions::Flush, &raw)?;
    Ok(guard)
}

fn size(tty: &File) -> Rect {
    let (width, height) = terminal_size_of(tty).map_or((80, 24), |(Width(width), Height(height))| (width, height));
    Rect::new(0, 0, width.max(1), height.max(1))
}

/// Lets somebody walk through a plan, until they sign or leave.
pub fn run(review: &mut Review, colours: bool) -> io::Result<Effect> {
    let mut keys = tty()?;
    let mut area = size(&keys);
    let _guard = take(&keys)?;
    let mut out = BufWriter::new(keys.try_clone()?);
    out.write_all(ENTER)?;
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    let mut terminal = Terminal::with_options(TermionBackend::new(out), options)?;
    let mut bytes = [0_u8; 1024];
    let mut changed = true;
    loop {
        if changed {
            terminal.draw(|frame| screen::draw(review, frame, colours))?;
        }
        let count = keys.read(&mut bytes)?;
        changed = count > 0;
        for key in read(bytes.get(..count).unwrap_or_default()) {
            let effect = review.update(key);
            if effect != Effect::None {
                return Ok(effect);
            }
        }
        let now = size(&keys);
        if now != area {
            area = now;
            terminal.resize(area)?;
            changed = true;
        }
    }
}

/// The keys in what came at once. An escape that nothing follows is the key of that name.
fn read(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes.iter().copied().map(Ok);
    while let Some(Ok(first)) = rest.next() {
        if first == 0x1b && rest.len() == 0 {
            keys.push(Key::Esc);
            continue;
        }
        let Ok(Event::Key(key)) = event::parse_event(first, &mut rest) else { continue };
        keys.extend(named(key));
    }
    keys
}

fn named(key: event::Key) -> Option<Key> {
    Some(match key {
        event::Key::Char('\n' | '\r') => Key::Enter,
        event::Key::Char('\t') => Key::Tab,
        event::Key::Char(letter) => Key::Char(letter),
        event::Key::Ctrl('c') => Key::Interrupt,
        event::Key::Backspace => Key::Backspace,
        event::Key::Esc => Key::Esc,
        event::Key::Up => Key::Up,
        event::Key::Down => Key::Down,
        event::Key::PageUp => Key::PageUp,
        event::Key::PageDown => Key::PageDown,
        event::Key::Home => Key::Home,
        event::Key::End => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_terminals_send_them() {
        assert_eq!(read(b"a/\xc3\xa9\r"), [Key::Char('a'), Key::Char('/'), Key::Char('é'), Key::Enter]);
        assert_eq!(read(b"\x1b"), [Key::Esc]);
        assert_eq!(
            read(b"\x1b[A\x1b[B\x1b[5~\x1b[6~\x1b[H"),
            [Key::Up, Key::Down, Key::PageUp, Key::PageDown, Key::Home]
        );
        assert_eq!(read(b"\x03\x7f\t\n"), [Key::Interrupt, Key::Backspace, Key::Tab, Key::Enter]);
        assert_eq!(read(b""), []);
        // Nothing that comes makes it fail.
        for byte in 0..=255 {
            let _ = read(&[byte, 0x1b, byte, b'[', byte, byte]);
        }
    }
}
