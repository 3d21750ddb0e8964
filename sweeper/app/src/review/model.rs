//! The state of a review, and what each key does to it.

use crate::{commands::keep::Keeping, render::plan as show};
use std::{collections::BTreeSet, io};
use sweeper_core::{
    money::Amount,
    plan::{Action, Plan},
};

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
}

/// What is to be done outside of the review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    /// Write the exceptions and sign what is approved.
    Sign,
    /// Leave everything as it is.
    Quit,
}

/// What the reviewer decided about an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Nothing yet, which approves nothing.
    #[default]
    Open,
    Approved,
    Declined,
    Kept(Keeping),
}

/// What is on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The actions, and below them what is known of one.
    List,
    /// One action, over the whole screen.
    Whole,
    /// The list, while the filter is written.
    Filter,
    Keep(Form),
    Help,
    /// What is about to be signed, with the number that was typed.
    End(String),
    /// Whether to leave though choices would be lost.
    Leave,
}

/// The exception that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub reason: String,
    pub until: String,
    /// Whether the date is being written, and not the reason.
    pub at_until: bool,
}

/// How many actions have which choice, and what the approved ones cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub open: usize,
    pub approved: usize,
    pub declined: usize,
    pub kept: usize,
    /// US dollars a month, of the approved.
    pub usd: Amount,
    /// Approved, and their price is not known.
    pub unpriced: usize,
}

/// Whether something may be kept, or why not.
type Check = Box<dyn Fn(&Keeping) -> Result<(), String>>;

/// A review of a plan.
pub struct Review {
    pub plan: Plan,
    choices: Vec<Choice>,
    /// What an approver needs of each action, as lines.
    texts: Vec<String>,
    check: Check,
    pub page: Page,
    pub filter: String,
    /// Indices of the actions that the filter lets through.
    pub shown: Vec<usize>,
    /// The one that is looked at, in `shown`.
    pub at: usize,
    /// First row of the list that is visible; the drawing keeps it in bounds.
    pub top: usize,
    /// Lines of the text that are scrolled away; the drawing keeps it in bounds.
    pub scroll: usize,
    /// What the last key came to.
    pub said: String,
}

/// How far a page of text is scrolled by one key.
const PAGE: usize = 8;
/// The longest filter, reason or date, characters.
const LONGEST: usize = 500;

impl Review {
    /// A review in which nothing is decided. `check` says whether something may be kept.
    pub fn new(plan: Plan, check: Check) -> io::Result<Self> {
        let texts = plan
            .actions
            .iter()
            .map(|action| {
                let mut text = Vec::new();
                show::write_whole(action, &mut text)?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            choices: vec![Choice::Open; plan.actions.len()],
            shown: (0..plan.actions.len()).collect(),
            plan,
            texts,
            check,
            page: Page::List,
            filter: String::new(),
            at: 0,
            top: 0,
            scroll: 0,
            said: String::new(),
        })
    }

    /// The action that is looked at, with its index; none where the filter lets nothing through.
    pub fn current(&self) -> Option<(usize, &Action)> {
        let index = *self.shown.get(self.at)?;
        Some((index, self.plan.actions.get(index)?))
    }

    pub fn choice(&self, index: usize) -> &Choice {
        self.choices.get(index).unwrap_or(&Choice::Open)
    }

    /// What an approver needs of an action.
    pub fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }

    /// Actions that are approved, in the plan's order.
    pub fn approved(&self) -> impl Iterator<Item = &Action> {
        self.plan
            .actions
            .iter()
            .zip(&self.choices)
            .filter(|(_, choice)| **choice == Choice::Approved)
            .map(|(own, _)| own)
    }

    /// What is to be kept.
    pub fn kept(&self) -> Vec<Keeping> {
        let kept = |choice: &Choice| if let Choice::Kept(keeping) = choice { Some(keeping.clone()) } else { None };
        self.choices.iter().filter_map(kept).collect()
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (action, choice) in self.plan.actions.iter().zip(&self.choices) {
            match choice {
                Choice::Open => counts.open += 1,
                Choice::Declined => counts.declined += 1,
                Choice::Kept(_) => counts.kept += 1,
                Choice::Approved => {
                    counts.approved += 1;
                    match action.usd() {
                        Some(usd) => counts.usd += usd,
                        None => counts.unpriced += 1,
                    }
                }
            }
        }
        counts
    }

    /// Approved actions that would be left, each with the one that comes before it and is not approved.
    pub fn stranded(&self) -> Vec<(u32, u32)> {
        let approved: BTreeSet<u32> = self.approved().map(|action| action.no).collect();
        let before = |action: &Action| {
            let missing = action.after.iter().find(|no| !approved.contains(no))?;
            Some((action.no, *missing))
        };
        self.approved().filter_map(before).collect()
    }

    /// The number that has to be typed at the end: of the actions that are approved, or else of what is kept.
    pub fn asked(&self) -> usize {
        let counts = self.counts();
        if counts.approved > 0 { counts.approved } else { counts.kept }
    }

    /// Takes a key.
    pub fn update(&mut self, key: Key) -> Effect {
        self.said.clear();
        match self.page.clone() {
            Page::List => return self.list(key),
            Page::Whole => return self.whole(key),
            Page::Filter => self.filtering(key),
            Page::Keep(form) => self.keeping(form, key),
            Page::Help => match key {
                Key::Interrupt => return self.leaving(),
                _ if self.scrolled(key) => {}
                _ => self.open(Page::List),
            },
            Page::End(typed) => return self.ending(typed, key),
            Page::Leave => match key {
                Key::Char('y' | 'Y') | Key::Interrupt => return Effect::Quit,
                _ => self.open(Page::List),
            },
        }
        Effect::None
    }

    fn open(&mut self, page: Page) {
        self.page = page;
        self.scroll = 0;
    }

    fn list(&mut self, key: Key) -> Effect {
        match key {
            Key::Up => self.go(self.at.saturating_sub(1)),
            Key::Down => self.go(self.at + 1),
            Key::Home => self.go(0),
            Key::End => self.go(usize::MAX),
            Key::PageUp | Key::PageDown => drop(self.scrolled(key)),
            Key::Enter if self.current().is_some() => self.open(Page::Whole),
            Key::Esc if !self.filter.is_empty() => {
                self.filter.clear();
                self.sift();
            }
            Key::Char('A') => self.all(true),
            Key::Char('N') => self.all(false),
            Key::Char('/') => self.open(Page::Filter),
            Key::Char('?') => self.open(Page::Help),
            Key::Char('s') => {
                if self.asked() == 0 {
                    "nothing is approved or kept: there is nothing to sign".clone_into(&mut self.said);
                } else {
                    self.open(Page::End(String::new()));
                }
            }
            Key::Char('q') | Key::Interrupt => return self.leaving(),
            Key::Char(letter) => self.decide(letter),
            _ => {}
        }
        Effect::None
    }

    fn whole(&mut self, key: Key) -> Effect {
        match key {
            Key::Interrupt => return self.leaving(),
            _ if self.scrolled(key) => {}
            Key::Enter | Key::Esc | Key::Char('q') => self.open(Page::List),
            Key::Char(letter) => self.decide(letter),
            _ => {}
        }
        Effect::None
    }

    /// Leaves at once, or asks when choices would be lost.
    fn leaving(&mut self) -> Effect {
        if self.choices.iter().all(|choice| *choice == Choice::Open) {
            return Effect::Quit;
        }
        self.open(Page::Leave);
        Effect::None
    }

    /// Whether the key scrolls a text.
    fn scrolled(&mut self, key: Key) -> bool {
        self.scroll = match key {
            Key::Up => self.scroll.saturating_sub(1),
            Key::Down => self.scroll.saturating_add(1),
            Key::PageUp => self.scroll.saturating_sub(PAGE),
            Key::PageDown => self.scroll.saturating_add(PAGE),
            Key::Home => 0,
            Key::End => usize::MAX,
            _ => return false,
        };
        true
    }

    fn go(&mut self, to: usize) {
        self.at = to.min(self.shown.len().saturating_sub(1));
        self.scroll = 0;
    }

    fn decide(&mut self, letter: char) {
        let Some((index, _)) = self.current() else { return };
        match letter {
            'a' => self.choose(index, Choice::Approved),
            'n' => self.choose(index, Choice::Declined),
            'u' => self.choose(index, Choice::Open),
            'k' => {
                let form = match self.choice(index) {
                    Choice::Kept(Keeping { reason, until, .. }) => {
                        Form { reason: reason.clone(), until: until.clone(), at_until: false }
                    }
                    _ => Form::default(),
                };
                self.open(Page::Keep(form));
            }
            _ => {}
        }
    }

    fn choose(&mut self, index: usize, choice: Choice) {
        let moves = choice != Choice::Open;
        if let Some(own) = self.choices.get_mut(index) {
            *own = choice;
        }
        if moves {
            self.go(self.at + 1);
        }
    }

    /// Approves all that is shown and not decided, or takes back every approval of what is shown. What somebody wrote
    /// a reason for stays.
    fn all(&mut self, approve: bool) {
        let (mut changed, mut stays, mut lost) = (0_usize, 0_usize, 0_usize);
        for index in self.shown.clone() {
            let (Some(own), Some(action)) = (self.choices.get_mut(index), self.plan.actions.get(index)) else {
                continue;
            };
            match (&own, approve) {
                (Choice::Open, true) => {
                    *own = Choice::Approved;
                    lost += usize::from(!action.risk.is_r());
                    changed += 1;
                }
                (Choice::Open | Choice::Approved, false) => {
                    *own = Choice::Declined;
                    changed += 1;
                }
                _ => stays += 1,
            }
        }
        let what = if approve { "approved" } else { "not approved" };
        self.said = format!("{changed} {what}; {stays} stay as they were");
        if lost > 0 {
            self.said = format!("{changed} approved, of which {lost} cannot be taken back; {stays} stay as they were");
        }
    }

    fn filtering(&mut self, key: Key) {
        match key {
            Key::Enter => self.page = Page::List,
            Key::Esc | Key::Interrupt => {
                self.filter.clear();
                self.page = Page::List;
            }
            _ => edit(&mut self.filter, key),
        }
        self.sift();
    }

    /// Applies the filter: text anywhere in what is known of an action, whatever its case.
    fn sift(&mut self) {
        let looked_at = self.current().map(|(index, _)| index);
        let wanted = self.filter.to_lowercase();
        self.shown = (0..self.texts.len()).filter(|index| self.text(*index).to_lowercase().contains(&wanted)).collect();
        self.at = self.shown.iter().position(|index| Some(*index) == looked_at).unwrap_or(0);
        self.scroll = 0;
    }

    fn keeping(&mut self, mut form: Form, key: Key) {
        match key {
            Key::Esc | Key::Interrupt => return self.open(Page::List),
            Key::Tab | Key::Up | Key::Down => form.at_until = !form.at_until,
            Key::Enter if !form.at_until => form.at_until = true,
            Key::Enter => {
                let Some((index, action)) = self.current() else { return self.open(Page::List) };
                let keeping = Keeping {
                    resource: action.target.id(),
                    until: form.until.trim().to_owned(),
                    reason: form.reason.trim().to_owned(),
                };
                match (self.check)(&keeping) {
                    Ok(()) => {
                        self.open(Page::List);
                        return self.choose(index, Choice::Kept(keeping));
                    }
                    Err(why) => self.said = why,
                }
            }
            _ if form.at_until => edit(&mut form.until, key),
            _ => edit(&mut form.reason, key),
        }
        self.page = Page::Keep(form);
    }

    fn ending(&mut self, mut typed: String, key: Key) -> Effect {
        match key {
            Key::Interrupt => return self.leaving(),
            Key::Esc => self.open(Page::List),
            Key::Enter if typed.trim() == self.asked().to_string() => return Effect::Sign,
            Key::Enter => {
                self.said = format!("type {} to go on, or Esc to go back", self.asked());
                self.page = Page::End(String::new());
            }
            _ if self.scrolled(key) => {}
            _ => {
                edit(&mut typed, key);
                self.page = Page::End(typed);
            }
        }
        Effect::None
    }
}

/// Writes at the end of a text.
fn edit(text: &mut String, key: Key) {
    match key {
        Key::Char(letter) if !letter.is_control() && text.chars().count() < LONGEST => text.push(letter),
        Key::Backspace => drop(text.pop()),
        _ => {}
    }
}
