//! Characters that a name or a tag may hold and that must do nothing wherever they are shown: terminal
//! commands, line ends, marks that turn text around, and what is there but cannot be seen.

use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

/// Whether a character could act on whoever shows it, or hide in what is shown.
///
/// Control characters (C0, DEL, C1); the bidirectional marks of UAX #9; line and paragraph separators;
/// zero-width and other default-ignorable format characters; interlinear marks; language tags.
pub const fn is_hostile(letter: char) -> bool {
    matches!(letter,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}'
        | '\u{e0000}'..='\u{e007f}')
}

/// JSON in which hostile characters and HTML's brackets are `\u` escapes: the same text to a parser, and
/// nothing to a terminal or a browser that shows the file as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct InertJson;

impl Formatter for InertJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly every text is plain.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'<' | b'>')) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        let mut from = 0;
        for (at, letter) in fragment.char_indices() {
            if is_hostile(letter) || matches!(letter, '<' | '>') {
                CompactFormatter.write_string_fragment(writer, &fragment[from..at])?;
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                from = at + letter.len_utf8();
            }
        }
        CompactFormatter.write_string_fragment(writer, &fragment[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize as _;

    proptest! {
        #[test]
        fn json_says_the_same_and_does_nothing(text in any::<String>(), odd in "[\u{202e}\u{1b}\u{9b}\n<\u{e0041}]{0,8}") {
            let text = format!("{odd}{text}{odd}");
            let mut bytes = Vec::new();
            text.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, InertJson)).unwrap();
            let written = String::from_utf8(bytes).unwrap();
            prop_assert!(!written.contains(|letter| is_hostile(letter) || letter == '<'), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
