//! What every [`Log`] must do, as tests that each implementation runs.

use super::{Log, LogError};
use std::io::Read as _;

/// Runs every check. `place` gives a new empty log each time, as a function that opens it; it is never open
/// twice at once.
///
/// # Panics
/// Where the log does not conform.
pub fn all<Open>(place: impl Fn() -> Open)
where
    Open: Fn() -> Box<dyn Log>,
{
    nothing_is_there_at_first(&*place()());
    lines_are_read_as_they_were_written(&*place()());
    a_number_is_written_once(&*place()());
    checkpoints_are_kept(&*place()());
    let open = place();
    open().append(0, &lines(0..3)).expect("it is writable");
    open().put_checkpoint(3, b"three\n").expect("it is writable");
    let again = open();
    assert_eq!(whole(&*again, 0), b"line 0\nline 1\nline 2\n");
    assert_eq!(again.latest(), Ok(Some(b"three\n".to_vec())));
    assert_eq!(again.append(2, &lines(2..3)), Err(LogError::Taken(2)));
    drop(again);
    let again = open();
    again.append(3, &lines(3..4)).expect("it is writable");
    assert!(whole(&*again, 0).ends_with(b"line 2\nline 3\n"));
}

fn lines(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(|number| format!("line {number}").into_bytes()).collect()
}

/// Everything from the segment on that holds this number.
fn whole(log: &dyn Log, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for segment in log.segments(from).expect("it is readable") {
        log.read(segment).expect("it is readable").read_to_end(&mut bytes).expect("it is readable");
    }
    bytes
}

fn nothing_is_there_at_first(log: &dyn Log) {
    assert_eq!(log.segments(0), Ok(Vec::new()));
    assert_eq!(log.checkpoints(), Ok(Vec::new()));
    assert_eq!(log.checkpoint(0), Ok(None));
    assert_eq!(log.latest(), Ok(None));
    assert!(matches!(log.read(0), Err(LogError::Unreadable(_))));
}

fn lines_are_read_as_they_were_written(log: &dyn Log) {
    let count = log.stride().unwrap_or(10) * 2 + 3;
    log.append(0, &lines(0..2)).expect("it is writable");
    log.append(2, &lines(2..count)).expect("it is writable");
    log.append(count, &[]).expect("nothing is no error");
    let expected: Vec<u8> = lines(0..count).iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    assert!(whole(log, 0) == expected);
    let segments = log.segments(0).expect("it is readable");
    assert_eq!(segments.first(), Some(&0));
    for (at, segment) in segments.iter().enumerate() {
        assert!(whole(log, *segment).starts_with(format!("line {segment}\n").as_bytes()));
        assert_eq!(log.segments(*segment), Ok(segments[at..].to_vec()));
        if let Some(stride) = log.stride() {
            assert_eq!(segment % stride, 0);
            assert_eq!(log.segments(segment + stride - 1), Ok(segments[at..].to_vec()));
        }
    }
    assert_eq!(log.segments(u64::MAX).map(|found| found.len()), Ok(1));
}

fn a_number_is_written_once(log: &dyn Log) {
    log.append(0, &lines(0..3)).expect("it is writable");
    let before = whole(log, 0);
    for number in [0, 2, 4, 100] {
        assert_eq!(log.append(number, &lines(9..10)), Err(LogError::Taken(number)));
    }
    assert_eq!(whole(log, 0), before);
}

fn checkpoints_are_kept(log: &dyn Log) {
    log.put_checkpoint(0, b"none\n").expect("it is writable");
    log.put_checkpoint(12, b"twelve\n").expect("it is writable");
    log.put_checkpoint(5, b"five\n").expect("it is writable");
    log.put_checkpoint(5, b"five\n").expect("the same again is no error");
    assert_eq!(log.put_checkpoint(12, b"other\n"), Err(LogError::Taken(12)));
    assert_eq!(log.checkpoints(), Ok(vec![0, 5, 12]));
    assert_eq!(log.checkpoint(12), Ok(Some(b"twelve\n".to_vec())));
    assert_eq!(log.checkpoint(6), Ok(None));
    assert_eq!(log.latest(), Ok(Some(b"five\n".to_vec())));
}
