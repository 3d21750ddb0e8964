//! Foreign text made harmless for where notices go. What HTML and Markdown need is [`crate::render::inert`]'s.

use crate::render::inert;

/// What a text is read as where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Slack's mrkdwn.
    Slack,
    /// The Markdown of Adaptive Cards, which knows no entities.
    Card,
    /// GitHub's Markdown.
    Markdown,
    Html,
    /// A value of JSON, with its quotes where it is a text.
    Json,
    Plain,
}

impl Target {
    /// A text, harmless.
    pub fn escaped(self, text: &str) -> String {
        match self {
            Self::Slack => slack(text),
            Self::Card => card(text),
            Self::Markdown => inert::markdown(text),
            Self::Html => inert::html(text),
            Self::Json => serde_json::Value::from(inert::line(text).into_owned()).to_string(),
            Self::Plain => inert::line(text).into_owned(),
        }
    }
}

/// Text of Slack's mrkdwn: no mention, no link, no end of a span of code. Links are not made of bare addresses either,
/// where `verbatim` is set, as it is in every block that is sent.
pub fn slack(text: &str) -> String {
    let text = inert::line(text);
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // There is no way to write one within code.
            '`' => out.push('\''),
            letter => out.push(letter),
        }
    }
    out
}

/// A span of code of Slack's, cut to so many characters: nothing in it is marked up.
pub fn slack_code(text: &str, most: usize) -> String {
    let text = slack(&short(text, most));
    let text = text.trim();
    format!("`{}`", if text.is_empty() { " " } else { text })
}

fn card(text: &str) -> String {
    let text = inert::line(text);
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        // With a backslash each of these is itself, and begins neither markup nor a link.
        if letter.is_ascii_punctuation() && !matches!(letter, ',' | ';' | '\'' | '"' | '%' | '=' | '?' | '$') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A text of at most so many characters, the last of which is then `…`.
pub fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::inert::is_hostile;

    /// Names that somebody gave a resource.
    pub const HOSTILE: &[&str] = &[
        "<!channel> <@U123> <https://evil.example|ok>",
        "`code` *bold* _it_ ~no~",
        "[a](https://evil.example) ![x](http://x) www.evil.example",
        "a\nb\r\nBcc: x@evil.example",
        "\u{1b}[31m\u{202e}txt",
        "<script>alert(1)</script>\"'&amp;",
        "@octocat #1 |x| {{7*7}} {noformat}",
        "",
    ];

    #[test]
    fn nothing_foreign_acts_anywhere() {
        for text in HOSTILE {
            for target in [Target::Slack, Target::Card, Target::Markdown, Target::Html, Target::Json, Target::Plain] {
                let out = target.escaped(text);
                assert!(!out.contains(is_hostile), "{target:?} {out:?}");
            }
            let slack = slack_code(text, 300);
            let within = slack.strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap();
            assert!(!within.contains(['<', '>', '`', '\n']), "{slack}");
            let html = Target::Html.escaped(text);
            assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
            let markdown = Target::Markdown.escaped(text);
            assert!(!markdown.contains(['<', '>', '@', '`']) && !markdown.contains("://"), "{markdown}");
            let json: String = serde_json::from_str(&Target::Json.escaped(text)).unwrap();
            assert_eq!(json, inert::line(text));
            let card = Target::Card.escaped(text);
            assert!(!card.contains("](") && !card.contains("://") && !card.contains("www."), "{card}");
            let mut letters = card.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '\\' => drop(letters.next()),
                    letter => assert!(!"[]()*_`#!:.<>".contains(letter), "{card}"),
                }
            }
        }
        assert_eq!(short("äöü", 2), "ä…");
    }
}
