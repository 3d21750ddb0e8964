//! Foreign text made harmless, for each form it is shown in. Every name, tag and message of a cloud goes
//! through here; JSON has its own writer, [`sweeper_core::inert::InertJson`].

use std::borrow::Cow;
use sweeper_core::inert::is_hostile;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// One line of text without anything that acts or hides: `\n`, `\t`, `\u{202e}` are shown as such.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_hostile(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// [`line`], cut to so many columns of a terminal, the last of which is then `…`.
pub fn cut(text: &str, columns: usize) -> String {
    let text = line(text);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for letter in text.chars() {
        // A sequence may be narrower than its parts, never wider.
        let wide = letter.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(letter);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// A text cell that no spreadsheet takes for a formula.
pub fn csv(text: &str) -> Cow<'_, str> {
    let text = line(text);
    // What spreadsheets take for a formula, in ASCII and full width; blanks before it do not help.
    let begins = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '|', '%']);
    // An escaped tab or line end is a backslash here: it begins nothing.
    if begins { Cow::Owned(format!("'{text}")) } else { text }
}

/// A text cell of a Markdown table: no markup, no HTML, no link, no mention.
pub fn markdown(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Escaped with a backslash these would still be a cell's end, a link or a mention to some readers.
            '|' => out.push_str("&#124;"),
            '@' => out.push_str("&#64;"),
            '`' => out.push_str("&#96;"),
            '\\' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '$' | '{' | '}' | '^' => {
                out.push('\\');
                out.push(letter);
            }
            letter => out.push(letter),
        }
    }
    // Bare links: `https://…`, `www.…`.
    if out.contains("://") {
        out = out.replace("://", "&#58;//");
    }
    if out.to_ascii_lowercase().contains("www.") {
        out = out.replace('.', "&#46;");
    }
    out
}

/// Text of an HTML page, in an element or a quoted attribute.
pub fn html(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text made of what does harm, between harmless parts.
    fn hostile() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<String>(),
            any::<char>().prop_map(String::from),
            proptest::sample::select(vec![
                "\n",
                "\r\n",
                "\t",
                "\u{1b}[31m",
                "\u{9b}2J",
                "\u{202e}",
                "\u{2066}",
                "\u{200d}",
                "\u{feff}",
                "=HYPERLINK(\"http://x\")",
                "+1",
                "-1",
                "@SUM(A1)",
                "|",
                "`",
                "```",
                "<script>alert(1)</script>",
                "<!--",
                "[a](javascript:x)",
                "![x](http://x)",
                "https://evil.example",
                "www.evil.example",
                "@octocat",
                "👩‍👩‍👧‍👦",
                "🧟",
                "\\",
                "\0",
                "\u{7f}",
                "\u{2028}",
                "\u{e0041}",
                "'",
                "\"",
                ",",
                "ｅ",
                "＝1",
                "a\u{301}\u{301}\u{301}",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_does_nothing(text in hostile()) {
            let shown = line(&text);
            prop_assert!(!shown.contains(is_hostile), "{shown:?}");
            prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }

        #[test]
        fn a_cut_line_fits(text in hostile(), columns in 0_usize..50) {
            let shown = cut(&text, columns);
            prop_assert!(shown.width() <= columns, "{shown:?} is {} wide", shown.width());
            prop_assert!(!shown.contains(is_hostile));
        }

        #[test]
        fn no_cell_is_a_formula(text in hostile()) {
            let mut writer = csv_writer();
            writer.write_record([csv(&text).as_ref(), "end"]).unwrap();
            let bytes = writer.into_inner().unwrap();
            let written = String::from_utf8(bytes.clone()).unwrap();
            prop_assert_eq!(written.lines().count(), 1, "{}", written);
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
            let record = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(record.len(), 2);
            let cell = &record[0];
            prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{cell:?}");
        }

        #[test]
        fn html_stays_text(text in hostile()) {
            let shown = html(&text);
            prop_assert!(!shown.contains(['<', '>', '"', '\'', '\n', '\r']), "{shown:?}");
            let plain = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(plain.replace("&amp;", "&"), line(&text));
        }

        #[test]
        fn markdown_stays_text(text in hostile()) {
            let shown = markdown(&text);
            prop_assert!(!shown.contains(['<', '>', '|', '`', '@', '\n', '\r']), "{shown:?}");
            prop_assert!(!shown.contains("://") && !shown.to_ascii_lowercase().contains("www."), "{shown:?}");
            // Every bracket and star has its backslash.
            let letters: Vec<char> = shown.chars().collect();
            let mut at = 0;
            while at < letters.len() {
                if letters[at] == '\\' {
                    at += 2;
                    continue;
                }
                prop_assert!(!['[', ']', '*', '_', '!', '~', '$'].contains(&letters[at]), "{shown:?}");
                at += 1;
            }
        }
    }

    fn csv_writer() -> ::csv::Writer<Vec<u8>> {
        ::csv::Writer::from_writer(Vec::new())
    }

    #[test]
    fn many_emoji_fit() {
        let text = "👩‍👩‍👧‍👦".repeat(256);
        assert!(cut(&text, 20).width() <= 20);
        assert!(cut("abc", 3) == "abc" && cut("abcd", 3) == "ab…");
    }
}
