//! Tag values that say until when: one reading of them, everywhere.

use crate::model::{DAY, Timestamp};

/// What a tag's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    At(Timestamp),
    /// `never`.
    Never,
    /// A date whose day and month cannot be told apart.
    Ambiguous,
    /// A time to live, and the creation it counts from is not known.
    NoCreation,
    /// Nothing that is read here.
    Unreadable,
}

/// Reads a date (the end of that day anywhere on earth, so UTC-12), RFC 3339 with a zone, a time to live
/// from creation (`14d`, `72h`, `2w`) or `never`. Where `:` and `-` are not allowed, `_` stands for `-`.
pub fn until(value: &str, created: Option<Timestamp>) -> Until {
    let value = value.trim();
    if value.eq_ignore_ascii_case("never") {
        return Until::Never;
    }
    if let Some(end) = end_of_date(value) {
        return Until::At(end);
    }
    if let Some(at) = Timestamp::parse(value) {
        return Until::At(at);
    }
    if let Some(seconds) = span(value).filter(|_| !value.ends_with('m')) {
        return created.map_or(Until::NoCreation, |created| Until::At(created.plus(seconds)));
    }
    if looks_like_a_date(value) { Until::Ambiguous } else { Until::Unreadable }
}

/// The end of a day, `2027-01-31`, where it ends last (UTC-12).
pub fn end_of_date(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    let separates = |at: usize| matches!(bytes[at], b'-' | b'_');
    if bytes.len() != 10 || !digits(0..4) || !separates(4) || !digits(5..7) || !separates(7) || !digits(8..10) {
        return None;
    }
    let midnight = Timestamp::parse(&format!("{}T00:00:00Z", text.replace('_', "-")))?;
    // The day ends at 24:00 there, which is 12:00 UTC of the next day.
    Some(midnight.plus(DAY + DAY / 2))
}

/// Seconds of a span: a whole number and one of `w`, `d`, `h`, `m`.
pub fn span(text: &str) -> Option<i64> {
    let unit = match text.as_bytes().last()? {
        b'w' => 7 * DAY,
        b'd' => DAY,
        b'h' => 3600,
        b'm' => 60,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(unit)
}

/// A span for people: `14 days`, `36 hours`.
pub fn spoken(seconds: i64) -> String {
    let (number, unit) = match seconds {
        seconds if seconds % DAY == 0 => (seconds / DAY, "day"),
        seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        seconds => (seconds / 60, "minute"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Three groups of digits, the first no year: `01/02/2027`, `1.2.27`.
fn looks_like_a_date(value: &str) -> bool {
    let groups: Vec<&str> = value.split(['/', '.', '-', '_']).collect();
    groups.len() == 3
        && groups.iter().all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
        && groups[0].len() <= 2
        && groups[1].len() <= 2
        && matches!(groups[2].len(), 2 | 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_values_are_read_as_documented() {
        let created = Timestamp::parse("2026-11-01T00:00:00Z");
        let at = |text: &str| Until::At(Timestamp::parse(text).unwrap());
        for (value, expected) in [
            ("2027-01-31", at("2027-02-01T12:00:00Z")),
            ("2027_01_31", at("2027-02-01T12:00:00Z")),
            (" 2028-02-29 ", at("2028-03-01T12:00:00Z")),
            ("2027-01-31T10:00:00Z", at("2027-01-31T10:00:00Z")),
            ("2027-01-31T10:00:00+02:00", at("2027-01-31T08:00:00Z")),
            ("14d", at("2026-11-15T00:00:00Z")),
            ("72h", at("2026-11-04T00:00:00Z")),
            ("2w", at("2026-11-15T00:00:00Z")),
            ("never", Until::Never),
            ("Never", Until::Never),
            ("01/02/2027", Until::Ambiguous),
            ("1.2.27", Until::Ambiguous),
            ("2027-02-30", Until::Unreadable),
            ("2027-01-31T10:00:00", Until::Unreadable),
            ("30m", Until::Unreadable),
            ("soon", Until::Unreadable),
            ("", Until::Unreadable),
            ("d", Until::Unreadable),
            ("99999999999999999999d", Until::Unreadable),
            ("é2027-01-3", Until::Unreadable),
        ] {
            assert_eq!(until(value, created), expected, "{value}");
        }
        assert_eq!(until("14d", None), Until::NoCreation);
    }

    #[test]
    fn spans_are_spoken() {
        assert_eq!(
            (spoken(DAY), spoken(14 * DAY), spoken(36 * 3600)),
            ("1 day".into(), "14 days".into(), "36 hours".into())
        );
    }
}
