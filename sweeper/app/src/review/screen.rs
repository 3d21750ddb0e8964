//! What a review looks like. Every text of a cloud is inert before it is drawn.

use super::model::{Choice, Form, Page, Review};
use crate::render::{
    inert,
    plan::{cost, short},
    summary::counted,
};
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
    terminal::Frame,
};
use std::collections::BTreeMap;
use sweeper_core::plan::{Action, Risk};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// From so many columns on, a row has the detector and more of the owner.
const WIDE: u16 = 110;
/// The smallest screen on which anything can be read.
const LEAST: (u16, u16) = (30, 8);

const KEYS: &str = "a approve  n not  k keep  A/N all shown  / filter  s sign  ? help  q quit";
const KEYS_NARROW: &str = "a yes  n no  k keep  / filter  s sign  ? help  q quit";

const HELP: &str = "\
a       approve this action, and go to the next
n       do not approve it, and go to the next
k       keep the resource until a date, with a reason: at the end this is written as an exception, as `sweeper keep` \
writes it
u       take the choice back
A       approve all that are shown and not decided
N       approve none of those that are shown; what is kept stays so
/       show only what has a text in it: an account, an owner, a policy, one-way; Esc shows all again
Enter   this action over the whole screen
arrows  the next and the last; page keys scroll what is known of one
s       what it comes to, and sign
q       leave; nothing is written or signed before the end
";

/// Draws a review, with colours or without.
pub fn draw(review: &mut Review, frame: &mut Frame<'_>, colours: bool) {
    let area = frame.area();
    let mut paper = Paper { buffer: frame.buffer_mut(), area, colours };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        paper.line(0, "make the window larger", Style::new());
        return;
    }
    let cursor = match review.page.clone() {
        Page::List | Page::Leave => {
            paper.list(review);
            None
        }
        Page::Filter => {
            paper.list(review);
            let x = paper.line(area.height - 1, &format!("/{}", inert::line(&review.filter)), Style::new());
            Some((x, area.height - 1))
        }
        Page::Whole => {
            let lines = review.current().map_or_else(Vec::new, |(index, _)| lines(review.text(index), area.width));
            let choice = review.current().map_or("", |(index, _)| name(review.choice(index)));
            paper.text(review, &format!("action: {choice}"), &lines);
            paper.foot(review, "a approve  n not  k keep  u take back  Esc the list");
            None
        }
        Page::Help => {
            paper.text(review, "keys", &lines(HELP, area.width));
            paper.foot(review, "any other key goes back");
            None
        }
        Page::Keep(form) => Some(paper.keep(review, &form)),
        Page::End(typed) => {
            let lines = lines(&summary(review), area.width);
            paper.text(review, &format!("about to sign plan {}", short(&review.plan.id)), &lines);
            paper.foot(review, &format!("type {} and Enter to sign; Esc goes back", review.asked()));
            let prompt = format!("> {}", inert::line(&typed));
            let x = paper.line(area.height - 1, &prompt, Style::new());
            Some((x, area.height - 1))
        }
    };
    if let Some((x, y)) = cursor {
        frame.set_cursor_position(Position { x: x.min(area.width - 1), y });
    }
}

/// What signing comes to: how much, what cannot be had back, and what is left out.
pub fn summary(review: &Review) -> String {
    let counts = review.counts();
    let mut out = vec![format!(
        "approved: {}, {} a month{}",
        counted(counts.approved as u64, "action"),
        cost(Some(counts.usd)),
        if counts.unpriced > 0 { format!(", and {} without a known price", counts.unpriced) } else { String::new() }
    )];
    let mut deeds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for action in review.approved() {
        *deeds.entry((action.deed_kind().name(), action.risk.name())).or_default() += 1;
    }
    out.extend(deeds.into_iter().map(|((deed, risk), count)| format!("  {deed}, {risk}: {count}")));
    out.push(format!("not approved: {}", counts.declined));
    out.push(format!("not decided, and so not approved: {}", counts.open));
    out.push(format!("kept, each by an exception: {}", counts.kept));
    for kept in review.kept() {
        out.push(format!("  {} until {}", inert::line(&kept.resource), inert::line(&kept.until)));
    }
    for (title, risk) in [("cannot be had back", Risk::OneWay), ("only from the cloud's bin, if it is on", Risk::Bin)] {
        let gone: Vec<&Action> = review.approved().filter(|action| action.risk == risk).collect();
        if !gone.is_empty() {
            out.push(format!("{title}: {}", gone.len()));
        }
        for action in gone {
            let (id, lost) = (action.target.id(), &action.reversal);
            out.push(format!("  {} {}: {}", action.no, inert::line(&id), inert::line(lost)));
        }
    }
    let stranded = review.stranded();
    if !stranded.is_empty() {
        out.push(format!("approved, and yet would be left: {}", stranded.len()));
    }
    for (no, before) in stranded {
        out.push(format!("  {no} comes after {before}, which is not approved"));
    }
    let mut text = out.join("\n");
    text.push('\n');
    text
}

/// What a choice is called.
fn name(choice: &Choice) -> &'static str {
    match choice {
        Choice::Open => "not decided",
        Choice::Approved => "approved",
        Choice::Declined => "not approved",
        Choice::Kept(_) => "kept",
    }
}

/// The lines of a text, each fitted to a width: what does not fit goes on below, further in.
fn lines(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width).max(1);
    let mut out = Vec::new();
    for line in text.lines() {
        let line = inert::line(line);
        let indent = (line.len() - line.trim_start().len() + 2).min(width / 2);
        let mut row = String::new();
        let mut used = 0;
        let mut blank = None;
        for letter in line.chars() {
            let wide = letter.width().unwrap_or(0);
            if used + wide > width {
                // After the last blank, if that leaves anything; or in the middle of a word.
                let rest = blank.filter(|at| *at > indent).map_or_else(String::new, |at| row.split_off(at));
                out.push(row.trim_end().to_owned());
                row = " ".repeat(indent) + rest.trim_start();
                used = row.width();
                blank = None;
            }
            if letter == ' ' && !row.trim().is_empty() {
                blank = Some(row.len());
            }
            row.push(letter);
            used += wide;
        }
        out.push(row.trim_end().to_owned());
    }
    out
}

/// A text in so many columns, whatever its letters.
fn cell(text: &str, width: usize) -> String {
    let text = inert::cut(text, width);
    let blanks = width.saturating_sub(text.width());
    text + &" ".repeat(blanks)
}

/// The same at the right.
fn right(text: &str, width: usize) -> String {
    let text = inert::cut(text, width);
    " ".repeat(width.saturating_sub(text.width())) + &text
}

/// What is drawn on.
struct Paper<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
    colours: bool,
}

impl Paper<'_> {
    /// Writes a line; gives the column after it.
    fn line(&mut self, y: u16, text: &str, style: Style) -> u16 {
        let text = cell(text, usize::from(self.area.width));
        self.buffer.set_stringn(self.area.x, self.area.y + y, &text, usize::from(self.area.width), style);
        self.area.x + text.trim_end().width() as u16
    }

    fn colour(&self, style: Style, colour: Color) -> Style {
        if self.colours { style.fg(colour) } else { style }
    }

    fn head(&mut self, text: &str) {
        self.line(0, text, Style::new().add_modifier(Modifier::BOLD));
    }

    /// The two last lines: what the last key came to, and what the next may be.
    fn foot(&mut self, review: &Review, keys: &str) {
        let height = self.area.height;
        let said = if review.said.is_empty() { keys } else { &review.said };
        self.line(height - 2, said, Style::new().add_modifier(Modifier::BOLD));
    }

    /// A text below a title, as far as it is scrolled.
    fn text(&mut self, review: &mut Review, title: &str, lines: &[String]) {
        let plan = short(&review.plan.id);
        let title = if title.contains(plan) { title.to_owned() } else { format!("plan {plan}  {title}") };
        self.head(&title);
        self.part(review, lines, 2, self.area.height.saturating_sub(5));
    }

    /// Lines from a row on, in so many rows. Says when there is more.
    fn part(&mut self, review: &mut Review, lines: &[String], from: u16, rows: u16) {
        let visible = usize::from(rows);
        review.scroll = review.scroll.min(lines.len().saturating_sub(visible));
        for (y, line) in (from..from + rows).zip(lines.iter().skip(review.scroll)) {
            self.line(y, line, Style::new());
        }
        let below = lines.len().saturating_sub(review.scroll + visible);
        if below > 0 && rows > 0 {
            let more = format!("  … {} more: PageDown", counted(below as u64 + 1, "line"));
            self.line(from + rows - 1, &more, Style::new().add_modifier(Modifier::DIM));
        }
    }

    fn list(&mut self, review: &mut Review) {
        let (width, height) = (self.area.width, self.area.height);
        let counts = review.counts();
        self.head(&format!(
            "plan {}  {}, {} a month; good until {}",
            short(&review.plan.id),
            counted(review.plan.actions.len() as u64, "action"),
            cost(Some(review.plan.actions.iter().filter_map(Action::usd).sum())),
            review.plan.expires
        ));
        let filter = if review.filter.is_empty() {
            String::new()
        } else {
            format!("; {} with `{}`", review.shown.len(), inert::line(&review.filter))
        };
        let decided = format!(
            "{} approved ({}), {} not, {} kept, {} open{filter}",
            counts.approved,
            cost(Some(counts.usd)),
            counts.declined,
            counts.kept,
            counts.open
        );
        self.line(1, &decided, Style::new());
        let body = height - 4;
        // Two fifths for the list, and the rest for what is known of one; a low screen is all list.
        let rows = if body < 8 { body } else { (body * 2 / 5).clamp(3, (review.shown.len() as u16).max(3)) };
        let visible = usize::from(rows);
        review.top = review.top.min(review.shown.len().saturating_sub(visible)).min(review.at);
        review.top = review.top.max((review.at + 1).saturating_sub(visible));
        for (y, place) in (2..2 + rows).zip(review.top..review.shown.len()) {
            self.row(review, place, y);
        }
        if review.shown.is_empty() {
            self.line(2, "no action has this text; Esc shows all", Style::new());
        }
        let below = body - rows;
        if let Some((index, _)) = review.current().filter(|_| below > 1) {
            self.line(2 + rows, &"─".repeat(usize::from(width)), Style::new());
            let text = lines(review.text(index), width);
            self.part(review, &text, 3 + rows, below - 1);
        }
        let question = "choices would be lost, and nothing was signed. Leave? y/n";
        let keys = if review.page == Page::Leave {
            question
        } else if width < 80 {
            KEYS_NARROW
        } else {
            KEYS
        };
        self.foot(review, keys);
    }

    fn row(&mut self, review: &Review, place: usize, y: u16) {
        let Some((index, action)) =
            review.shown.get(place).and_then(|index| Some((*index, review.plan.actions.get(*index)?)))
        else {
            return;
        };
        let width = usize::from(self.area.width);
        let wide = self.area.width >= WIDE;
        let owner = action.owner.as_deref().unwrap_or("nobody");
        let deed = action.deed_kind().name();
        // The last part of an ARM id or a self link says more than its beginning.
        let native = action.target.native_id.rsplit('/').next().unwrap_or_default();
        let (mark, colour) = match review.choice(index) {
            Choice::Open => (' ', Color::Reset),
            Choice::Approved => ('+', Color::Green),
            Choice::Declined => ('-', Color::Red),
            Choice::Kept(_) => ('k', Color::Yellow),
        };
        let left = if wide {
            format!("{mark} {:>4} {} {}", action.no, cell(deed, 13), cell(&action.detector, 22))
        } else {
            format!("{mark} {:>4} {}", action.no, cell(deed, 6))
        };
        let tail = format!(
            "{} {} {}",
            right(&cost(action.usd()), if wide { 11 } else { 9 }),
            cell(owner, if wide { 14 } else { 9 }),
            cell(action.risk.name(), 11)
        );
        let name = cell(native, width.saturating_sub(left.width() + tail.width() + 2));
        let here = place == review.at;
        let style = if here { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        self.line(y, &format!("{left} {name} {tail}"), self.colour(style, colour));
        if !action.risk.is_r() {
            let style = self.colour(style.add_modifier(Modifier::BOLD), Color::Red);
            let x = self.area.x + (width.saturating_sub(11)) as u16;
            self.buffer.set_stringn(x, self.area.y + y, action.risk.name(), 11, style);
        }
    }

    /// The form of an exception; gives where the next letter goes.
    fn keep(&mut self, review: &Review, form: &Form) -> (u16, u16) {
        let id = review.current().map_or_else(String::new, |(_, action)| action.target.id());
        self.head("keep, instead of what is planned");
        let mut y = 2;
        for line in lines(&id, self.area.width).into_iter().take(usize::from(self.area.height.saturating_sub(7))) {
            self.line(y, &line, Style::new());
            y += 1;
        }
        let mut cursor = (0, 0);
        for (title, text, here) in
            [("reason", &form.reason, !form.at_until), ("until (2027-01-31)", &form.until, form.at_until)]
        {
            // The end of what is written is seen.
            let room = usize::from(self.area.width).saturating_sub(title.len() + 3);
            let text = inert::line(text);
            let mut end: Vec<char> = text.chars().collect();
            while end.iter().map(|letter| letter.width().unwrap_or(0)).sum::<usize>() > room {
                end.remove(0);
            }
            let end: String = end.into_iter().collect();
            let style = if here { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
            self.line(y + 1, &format!("{title}: {end}"), style);
            if here {
                cursor = (self.area.x + (title.len() + 2 + end.width()) as u16, self.area.y + y + 1);
            }
            y += 1;
        }
        self.foot(review, "Enter goes on, Tab changes the line, Esc goes back");
        cursor
    }
}
