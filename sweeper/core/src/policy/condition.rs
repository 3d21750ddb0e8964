//! `when`: checked once against the vocabulary, compiled to a tree, evaluated in three values (Kleene).
//!
//! The language is a subset of CEL, parsed by the `cel` crate, whose interpreter a property test holds this
//! one equal to wherever everything is known. Operands are ordered by what they cost to read; since no
//! operand has an effect, the order changes no result.

use super::vocabulary::{Effort, FIELDS, Field, Read, Reader, Type, Value, Why, field};
use crate::{
    detect::NOT_ASKED,
    inventory::Unseen,
    kind::KindSpec,
    model::{Class, Timestamp, Tri},
    money::Amount,
};
use cel::{
    common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as op},
    parser::Parser,
};
use std::{borrow::Cow, cmp::Ordering};

/// A checked and compiled condition.
pub struct Condition {
    text: String,
    root: Node,
    fields: Vec<&'static Field>,
    tags: Vec<String>,
}

/// What a condition is checked against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The classes it will be asked about.
    pub classes: &'a [Class],
    /// A missing tag has no value to compare.
    pub strict: bool,
    pub kinds: &'a [&'static KindSpec],
}

/// Something wrong with a condition, at bytes of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub start: usize,
    pub end: usize,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

enum Node {
    Literal(Value<'static>),
    Field(&'static Field),
    Tag { key: Box<str>, strict: bool },
    HasTag(Box<str>),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    If(Box<[Node; 3]>),
    Compare(Compare, Box<[Node; 2]>),
    In(Box<Node>, Box<[Value<'static>]>),
    Add(Box<[Node; 2]>),
    Subtract(Box<[Node; 2]>),
    Search(Search, Box<[Node; 2]>),
    Size(Box<Node>),
}

/// Only the checker lets values meet, so this is never reached.
const MISMATCH: Why = Why::Missing("bug: types do not fit");

impl Node {
    fn eval<'a>(&'a self, reader: &Reader<'a, '_>) -> Read<'a> {
        match self {
            Self::Literal(value) => Ok(value.borrowed()),
            Self::Field(field) => (field.read)(reader),
            Self::Tag { key, strict } => match reader.tag(key)? {
                Some(value) => Ok(Value::Text(Cow::Borrowed(value))),
                None if *strict => Err(Why::NoTag),
                None => Ok(Value::Text(Cow::Borrowed(""))),
            },
            Self::If(parts) => {
                let [condition, this, that] = &**parts;
                match condition.truth(reader) {
                    Ok(true) => this.eval(reader),
                    Ok(false) => that.eval(reader),
                    // Not known which, and it does not matter where both are the same.
                    Err(why) => match (this.eval(reader), that.eval(reader)) {
                        (Ok(this), Ok(that)) if this == that => Ok(this),
                        _ => Err(why),
                    },
                }
            }
            Self::Add(sides) => {
                let (left, right) = both(sides, reader)?;
                match (left, right) {
                    (Value::Int(a), Value::Int(b)) => a.checked_add(b).map(Value::Int),
                    (Value::Span(a), Value::Span(b)) => a.checked_add(b).map(Value::Span),
                    (Value::Time(a), Value::Span(b)) | (Value::Span(b), Value::Time(a)) => {
                        a.checked_add(b).map(Value::Time)
                    }
                    _ => None,
                }
                .ok_or(Why::Missing("a sum within bounds"))
            }
            Self::Subtract(sides) => {
                let (left, right) = both(sides, reader)?;
                match (left, right) {
                    (Value::Int(a), Value::Int(b)) => a.checked_sub(b).map(Value::Int),
                    (Value::Span(a), Value::Span(b)) => a.checked_sub(b).map(Value::Span),
                    (Value::Time(a), Value::Time(b)) => a.checked_sub(b).map(Value::Span),
                    (Value::Time(a), Value::Span(b)) => a.checked_sub(b).map(Value::Time),
                    _ => None,
                }
                .ok_or(Why::Missing("a difference within bounds"))
            }
            Self::Size(of) => match of.eval(reader)? {
                Value::Text(text) => Ok(Value::Int(text.chars().count() as i64)),
                _ => Err(MISMATCH),
            },
            Self::HasTag(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Compare(..)
            | Self::In(..)
            | Self::Search(..) => self.truth(reader).map(Value::Bool),
        }
    }

    fn truth<'a>(&'a self, reader: &Reader<'a, '_>) -> Result<bool, Why> {
        match self {
            Self::And(operands) => kleene(operands, false, |operand| operand.truth(reader)),
            Self::Or(operands) => kleene(operands, true, |operand| operand.truth(reader)),
            Self::Not(operand) => operand.truth(reader).map(|truth| !truth),
            Self::Compare(compare, sides) => {
                let (left, right) = both(sides, reader)?;
                // A number that is none (NaN) compares with nothing: unknown, rather than CEL's false.
                order(&left, &right).map(|order| compare.holds(order)).ok_or(MISMATCH)
            }
            Self::In(of, list) => {
                let value = of.eval(reader)?;
                Ok(list.iter().any(|item| order(item, &value).is_some_and(Ordering::is_eq)))
            }
            Self::HasTag(key) => Ok(reader.tag(key)?.is_some()),
            Self::Search(search, sides) => match both(sides, reader)? {
                (Value::Text(text), Value::Text(part)) => Ok(match search {
                    Search::StartsWith => text.starts_with(&*part),
                    Search::EndsWith => text.ends_with(&*part),
                    Search::Contains => text.contains(&*part),
                }),
                _ => Err(MISMATCH),
            },
            Self::Literal(_)
            | Self::Field(_)
            | Self::Tag { .. }
            | Self::If(_)
            | Self::Add(_)
            | Self::Subtract(_)
            | Self::Size(_) => match self.eval(reader)? {
                Value::Bool(truth) => Ok(truth),
                _ => Err(MISMATCH),
            },
        }
    }

    /// As [`Self::truth`], putting the questions that are left once whatever is known has been counted.
    fn settle<'a>(&'a self, asking: &Reader<'a, '_>) -> Result<bool, Why> {
        let quiet = Reader { asks: false, ..*asking };
        if let Ok(truth) = self.truth(&quiet) {
            return Ok(truth);
        }
        match self {
            Self::And(operands) => kleene(operands, false, |operand| operand.settle(asking)),
            Self::Or(operands) => kleene(operands, true, |operand| operand.settle(asking)),
            Self::Not(operand) => operand.settle(asking).map(|truth| !truth),
            Self::If(parts) => {
                let [condition, this, that] = &**parts;
                match condition.settle(asking) {
                    Ok(true) => this.settle(asking),
                    Ok(false) => that.settle(asking),
                    Err(why) => Err(why),
                }
            }
            leaf => leaf.truth(asking).map_err(|why| match why {
                Why::NoTag => Why::from(leaf.blame(&quiet)),
                why => why,
            }),
        }
    }

    /// The tag that is not there.
    fn blame<'a>(&'a self, reader: &Reader<'a, '_>) -> Unseen {
        let mut missing = None;
        self.walk(&mut |node| {
            if let Self::Tag { key, .. } = node
                && matches!(reader.tag(key), Ok(None))
            {
                missing.get_or_insert(key);
            }
        });
        let key = missing.map_or("", |key| key);
        Unseen { cause: format!("no tag {key}"), what: format!("tag {key} of {}", reader.resource.kind().title) }
    }

    fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::Literal(_) | Self::Field(_) | Self::Tag { .. } | Self::HasTag(_) => {}
            Self::Not(of) | Self::Size(of) | Self::In(of, _) => of.walk(visit),
            Self::And(operands) | Self::Or(operands) => operands.iter().for_each(|operand| operand.walk(visit)),
            Self::If(parts) => parts.iter().for_each(|part| part.walk(visit)),
            Self::Compare(_, sides) | Self::Search(_, sides) | Self::Add(sides) | Self::Subtract(sides) => {
                sides.iter().for_each(|side| side.walk(visit));
            }
        }
    }

    fn effort(&self) -> Effort {
        let mut effort = Effort::Fact;
        self.walk(&mut |node| {
            effort = effort.max(match node {
                Self::Field(field) => field.effort,
                Self::Tag { .. } | Self::HasTag(_) => Effort::Tags,
                _ => Effort::Fact,
            });
        });
        effort
    }
}

/// `&&` (`decides` is false) or `||` (true): one operand that decides is enough, whatever else is unknown.
fn kleene<'a>(
    operands: &'a [Node],
    decides: bool,
    mut truth: impl FnMut(&'a Node) -> Result<bool, Why>,
) -> Result<bool, Why> {
    let mut unknown = None;
    for operand in operands {
        match truth(operand) {
            Ok(truth) if truth == decides => return Ok(decides),
            Ok(_) => {}
            Err(why) => {
                unknown.get_or_insert(why);
            }
        }
    }
    unknown.map_or(Ok(!decides), Err)
}

/// Both sides, each read even where the other is unknown, so that both put their questions.
fn both<'a>(sides: &'a [Node; 2], reader: &Reader<'a, '_>) -> Result<(Value<'a>, Value<'a>), Why> {
    let [left, right] = sides;
    let (left, right) = (left.eval(reader), right.eval(reader));
    Ok((left?, right?))
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) | (Value::Time(a), Value::Time(b)) | (Value::Span(a), Value::Span(b)) => {
            Some(a.cmp(b))
        }
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Money(a), Value::Money(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
        _ => None,
    }
}

/// The longest condition, in bytes, and the deepest: the parser and what walks its tree call themselves.
const LONGEST: usize = 4096;
const DEEPEST: usize = 48;
/// Room for the longest and the deepest: the parser takes up to 0.1 MiB a bracket where it is not optimised.
const STACK: usize = 32 << 20;

/// What is too long or too deep to be read at all. Brackets in strings are counted too: it is a bound.
fn beyond(text: &str) -> Option<Fault> {
    if text.len() > LONGEST {
        let message = format!("a condition has no more than {LONGEST} bytes, and this has {}", text.len());
        let help = Some("write several policies".to_owned());
        return Some(Fault { start: 0, end: 1, message, help });
    }
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            let message = format!("a condition is nested no deeper than {DEEPEST}");
            return Some(Fault { start: at, end: at + 1, message, help: None });
        }
    }
    None
}

impl Condition {
    /// Checks and compiles a condition. All its faults at once.
    pub fn compile(text: &str, context: &Context<'_>) -> Result<Self, Vec<Fault>> {
        if let Some(fault) = beyond(text) {
            return Err(vec![fault]);
        }
        let fault = || Fault { start: 0, end: 1, message: "a condition cannot be read now".to_owned(), help: None };
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(STACK);
            let reader = reader.spawn_scoped(scope, || Self::parse(text, context)).map_err(|_| vec![fault()])?;
            reader.join().unwrap_or_else(|_| Err(vec![fault()]))
        })
    }

    fn parse(text: &str, context: &Context<'_>) -> Result<Self, Vec<Fault>> {
        let (ast, info) = match Parser::new().parse_with_source_info(text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                return Err(errors
                    .errors
                    .into_iter()
                    .map(|error| {
                        let at = at_line_column(text, error.pos);
                        let message = error.msg.lines().next().unwrap_or_default().to_owned();
                        let message = message.trim_start_matches("Syntax error: ").to_owned();
                        Fault { start: at, end: at + 1, message: format!("not a condition: {message}"), help: None }
                    })
                    .collect());
            }
        };
        let mut checker = Checker { text, info: &info, context: *context, faults: Vec::new() };
        let checked = checker.check(&ast);
        if let Some(Checked { of, at, .. }) = &checked
            && *of != Type::Bool
        {
            checker.fault(*at, format!("a condition is true or false, and this is {}", of.one()), None);
        }
        match checked {
            Some(Checked { node, .. }) if checker.faults.is_empty() => Ok(Self::of(text, node)),
            _ => {
                checker.faults.sort_by_key(|fault| fault.start);
                Err(checker.faults)
            }
        }
    }

    fn of(text: &str, root: Node) -> Self {
        let mut fields: Vec<&'static Field> = Vec::new();
        let mut tags: Vec<String> = Vec::new();
        root.walk(&mut |node| match node {
            Node::Field(field) if !fields.iter().any(|known| known.name == field.name) => fields.push(field),
            Node::Tag { key, .. } | Node::HasTag(key) if !tags.iter().any(|known| **known == **key) => {
                tags.push(key.to_string());
            }
            _ => {}
        });
        Self { text: text.to_owned(), root, fields, tags }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields it reads.
    pub fn fields(&self) -> &[&'static Field] {
        &self.fields
    }

    /// Whether it holds.
    pub fn holds<'a>(&'a self, reader: &Reader<'a, '_>) -> Tri {
        self.root.truth(reader).ok()
    }

    /// Whether it holds, putting the questions that would decide it; or why that is not known.
    pub fn settle<'a>(&'a self, asking: &Reader<'a, '_>) -> Result<bool, Unseen> {
        self.root.settle(asking).map_err(|why| match why {
            Why::Unseen(unseen) => *unseen,
            Why::NotAsked => Unseen { cause: NOT_ASKED.to_owned(), what: asking.resource.kind().title.to_owned() },
            why => Unseen { cause: why.to_string(), what: asking.resource.kind().title.to_owned() },
        })
    }

    /// Everything it reads but the time, with its value as evidence shows it.
    pub fn read<'a>(&'a self, reader: &Reader<'a, '_>) -> Vec<(Cow<'static, str>, String)> {
        let fields = self.fields.iter().filter(|field| field.name != "now").map(|field| {
            let value = match (field.read)(reader) {
                Ok(value) => value.to_string(),
                Err(why) => format!("unknown ({why})"),
            };
            (Cow::Borrowed(field.name), value)
        });
        let tags = self.tags.iter().map(|key| {
            let value = match reader.tag(key) {
                Ok(Some(value)) => value.to_owned(),
                Ok(None) => "not there".to_owned(),
                Err(why) => format!("unknown ({why})"),
            };
            (Cow::Owned(format!("tag {key}")), value)
        });
        fields.chain(tags).collect()
    }
}

/// Line and column of the parser (both from 1, the column in bytes) as a byte of the text.
fn at_line_column(text: &str, (line, column): (isize, isize)) -> usize {
    let before = |from_one: isize| usize::try_from(from_one).unwrap_or(1).max(1) - 1;
    let start: usize = text.split_inclusive('\n').take(before(line)).map(str::len).sum();
    (start + before(column)).min(text.len().saturating_sub(1))
}

/// A word that was probably meant.
pub(super) fn meant<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let folded = word.to_ascii_lowercase();
    words
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&folded, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.chars().count().max(4) / 3)
        .min()
        .map(|(_, known)| known)
}

/// `did you mean`, if anything comes close.
pub(super) fn did_you_mean<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    meant(word, words).map(|known| format!("did you mean `{known}`?"))
}

struct Checked {
    node: Node,
    of: Type,
    /// Start and end, bytes.
    at: (usize, usize),
}

/// Turns a literal into the type of the other side, where that loses nothing.
fn align(left: &mut Checked, right: &mut Checked) {
    let types = (left.of, right.of);
    for (other, literal) in [(types.0, right), (types.1, left)] {
        let Node::Literal(value) = &literal.node else { continue };
        let aligned = match (other, value) {
            (Type::Number, Value::Int(number)) => Some(Value::Number(*number as f64)),
            (Type::Money, Value::Int(number)) => Some(Value::Money(Amount::whole(*number))),
            // The shortest decimal that reads as this number is the one that was written.
            (Type::Money, Value::Number(number)) => Amount::parse(&number.to_string()).map(Value::Money),
            _ => None,
        };
        if let Some(aligned) = aligned {
            literal.of = aligned.of();
            literal.node = Node::Literal(aligned);
        }
    }
}

struct Checker<'a> {
    text: &'a str,
    info: &'a SourceInfo,
    context: Context<'a>,
    faults: Vec<Fault>,
}

const FUNCTIONS: &[&str] = &["has_tag", "tag", "duration", "timestamp", "startsWith", "endsWith", "contains", "size"];

impl Checker<'_> {
    fn fault(&mut self, (start, end): (usize, usize), message: String, help: Option<String>) {
        self.faults.push(Fault { start, end, message, help });
    }

    /// Where a node was written: its own token and everything below it.
    fn span(&self, expr: &IdedExpr) -> (usize, usize) {
        // The parser counts bytes, and its end is the last one.
        let own = self.info.offset_for(expr.id).map_or((0, self.text.len()), |(start, stop)| {
            ((start as usize).min(self.text.len()), self.text.ceil_char_boundary(stop as usize + 1))
        });
        let below: Vec<&IdedExpr> = match &expr.expr {
            Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
            Expr::List(list) => list.elements.iter().collect(),
            _ => Vec::new(),
        };
        below.into_iter().map(|below| self.span(below)).fold(own, |a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn check(&mut self, expr: &IdedExpr) -> Option<Checked> {
        let at = self.span(expr);
        let checked = |node, of| Some(Checked { node, of, at });
        match &expr.expr {
            Expr::Literal(literal) => {
                let value = self.literal(literal, at)?;
                let of = value.of();
                checked(Node::Literal(value), of)
            }
            Expr::Ident(name) => {
                let field = self.field(name, at)?;
                checked(Node::Field(field), field.of)
            }
            Expr::Call(call) => self.call(call, at),
            Expr::List(_) => {
                self.fault(at, "a list stands only after `in`".to_owned(), None);
                None
            }
            Expr::Comprehension(_) => {
                self.fault(at, "macros are not part of the language".to_owned(), None);
                None
            }
            Expr::Select(select) if select.test => {
                let help = "a tag is there: `has_tag(\"key\")`".to_owned();
                self.fault(at, "macros are not part of the language".to_owned(), Some(help));
                None
            }
            Expr::Select(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.fault(at, "not part of the language".to_owned(), Some("fields are plain words".to_owned()));
                None
            }
        }
    }

    fn literal(&mut self, literal: &LiteralValue, at: (usize, usize)) -> Option<Value<'static>> {
        match literal {
            LiteralValue::Boolean(truth) => Some(Value::Bool(*truth.inner())),
            LiteralValue::Int(number) => Some(Value::Int(**number)),
            LiteralValue::Double(number) => Some(Value::Number(**number)),
            LiteralValue::String(text) => Some(Value::Text(Cow::Owned(text.inner().to_owned()))),
            LiteralValue::Bytes(_) | LiteralValue::UInt(_) | LiteralValue::Null => {
                self.fault(at, "only whole numbers, decimals, strings, true and false".to_owned(), None);
                None
            }
        }
    }

    fn field(&mut self, name: &str, at: (usize, usize)) -> Option<&'static Field> {
        let classes = self.context.classes;
        let fits = |field: &Field| classes.iter().all(|class| field.is_of(*class));
        match field(name) {
            Some(field) if fits(field) => Some(field),
            Some(field) => {
                let lacking: Vec<&str> =
                    classes.iter().filter(|class| !field.is_of(**class)).map(|class| class.name()).collect();
                let having: Vec<&str> = field.classes.iter().map(|class| class.name()).collect();
                self.fault(
                    at,
                    format!("`{name}` is not known of {}", lacking.join(", ")),
                    Some(format!("only of: {}", having.join(", "))),
                );
                None
            }
            None => {
                let help = did_you_mean(name, FIELDS.iter().filter(|field| fits(field)).map(|field| field.name));
                self.fault(at, format!("unknown field `{name}`"), help);
                None
            }
        }
    }

    fn call(&mut self, call: &CallExpr, at: (usize, usize)) -> Option<Checked> {
        let compare = match call.func_name.as_str() {
            op::EQUALS => Some(Compare::Equal),
            op::NOT_EQUALS => Some(Compare::NotEqual),
            op::LESS => Some(Compare::Less),
            op::LESS_EQUALS => Some(Compare::LessOrEqual),
            op::GREATER => Some(Compare::Greater),
            op::GREATER_EQUALS => Some(Compare::GreaterOrEqual),
            _ => None,
        };
        if let Some(compare) = compare {
            return self.compare(compare, call, at);
        }
        match (call.func_name.as_str(), &call.target, call.args.as_slice()) {
            (op::LOGICAL_AND, None, operands) => self.logic(operands, at, op::LOGICAL_AND),
            (op::LOGICAL_OR, None, operands) => self.logic(operands, at, op::LOGICAL_OR),
            (op::LOGICAL_NOT, None, [operand]) => {
                let operand = self.truth(operand)?;
                Some(Checked { node: Node::Not(Box::new(operand)), of: Type::Bool, at })
            }
            (op::CONDITIONAL, None, [condition, this, that]) => {
                let (condition, this, that) = (self.truth(condition), self.check(this), self.check(that));
                let (condition, this, that) = (condition?, this?, that?);
                if this.of != that.of {
                    let message = format!("one way is {} and the other {}", this.of.one(), that.of.one());
                    self.fault(at, message, None);
                    return None;
                }
                Some(Checked { node: Node::If(Box::new([condition, this.node, that.node])), of: this.of, at })
            }
            (op::IN, None, [of, list]) => self.is_in(of, list, at),
            (op::ADD | op::SUBSTRACT, None, [left, right]) => self.arithmetic(&call.func_name, left, right, at),
            (op::NEGATE, None, [operand]) => {
                let operand = self.check(operand)?;
                let zero = match operand.of {
                    Type::Int => Value::Int(0),
                    Type::Span => Value::Span(0),
                    other => {
                        self.fault(at, format!("{} has no negative", other.one()), None);
                        return None;
                    }
                };
                let of = operand.of;
                Some(Checked { node: Node::Subtract(Box::new([Node::Literal(zero), operand.node])), of, at })
            }
            ("has_tag" | "tag", None, [key]) => {
                let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                    let at = self.span(key);
                    self.fault(at, "a tag's key is a string".to_owned(), None);
                    return None;
                };
                let key: Box<str> = key.inner().into();
                if key.is_empty() {
                    self.fault(at, "a tag's key is not empty".to_owned(), None);
                    return None;
                }
                Some(match call.func_name.as_str() {
                    "tag" => Checked { node: Node::Tag { key, strict: self.context.strict }, of: Type::Text, at },
                    _ => Checked { node: Node::HasTag(key), of: Type::Bool, at },
                })
            }
            ("duration", None, [text]) => {
                self.constant(text, at, "duration(\"720h\")", |text| cel_duration(text).map(Value::Span))
            }
            ("timestamp", None, [text]) => self.constant(text, at, "timestamp(\"2026-11-20T00:00:00Z\")", |text| {
                Timestamp::parse(text).map(|at| Value::Time(at.0))
            }),
            ("size", None, [of]) => self.size(of, at),
            ("size", Some(of), []) => self.size(of, at),
            ("startsWith", Some(of), [part]) => self.search(Search::StartsWith, of, part, at),
            ("endsWith", Some(of), [part]) => self.search(Search::EndsWith, of, part, at),
            ("contains", Some(of), [part]) => self.search(Search::Contains, of, part, at),
            ("matches", ..) => {
                let help = "use `startsWith`, `endsWith` or `contains`".to_owned();
                self.fault(at, "regular expressions are not part of the language".to_owned(), Some(help));
                None
            }
            (name, ..) if FUNCTIONS.contains(&name) => {
                let help = match name {
                    "has_tag" | "tag" | "duration" | "timestamp" => format!("`{name}(\"…\")`"),
                    "size" => "`size(name)`".to_owned(),
                    name => format!("`name.{name}(\"…\")`"),
                };
                self.fault(at, format!("`{name}` is not called like this"), Some(help));
                None
            }
            (op::MULTIPLY | op::DIVIDE | op::MODULO | op::INDEX, ..) => {
                self.fault(at, "not part of the language".to_owned(), Some("there are only `+` and `-`".to_owned()));
                None
            }
            (name, ..) => {
                let help = did_you_mean(name, FUNCTIONS.iter().copied());
                self.fault(at, format!("unknown function `{name}`"), help);
                None
            }
        }
    }

    fn truth(&mut self, expr: &IdedExpr) -> Option<Node> {
        let checked = self.check(expr)?;
        if checked.of != Type::Bool {
            self.fault(checked.at, format!("this is {}, not true or false", checked.of.one()), None);
            return None;
        }
        Some(checked.node)
    }

    fn logic(&mut self, operands: &[IdedExpr], at: (usize, usize), name: &str) -> Option<Checked> {
        let mut flat = Vec::new();
        let mut whole = true;
        for operand in operands {
            match self.truth(operand) {
                Some(Node::And(inner)) if name == op::LOGICAL_AND => flat.extend(inner),
                Some(Node::Or(inner)) if name == op::LOGICAL_OR => flat.extend(inner),
                Some(node) => flat.push(node),
                None => whole = false,
            }
        }
        if !whole {
            return None;
        }
        flat.sort_by_key(Node::effort);
        let flat = flat.into_boxed_slice();
        let node = if name == op::LOGICAL_AND { Node::And(flat) } else { Node::Or(flat) };
        Some(Checked { node, of: Type::Bool, at })
    }

    fn compare(&mut self, compare: Compare, call: &CallExpr, at: (usize, usize)) -> Option<Checked> {
        let [left, right] = call.args.as_slice() else { return None };
        let (left, right) = (self.check(left), self.check(right));
        let (mut left, mut right) = (left?, right?);
        align(&mut left, &mut right);
        if left.of != right.of {
            let help = match (left.of, right.of) {
                (Type::Time, Type::Text) | (Type::Text, Type::Time) => {
                    Some("an instant is written `timestamp(\"2026-11-20T00:00:00Z\")`".to_owned())
                }
                (Type::Span, _) | (_, Type::Span) => {
                    Some("a length of time is written `duration(\"720h\")`".to_owned())
                }
                (Type::Int, Type::Number) | (Type::Number, Type::Int) => {
                    Some("a whole number is compared with whole numbers".to_owned())
                }
                (Type::Text, Type::Int | Type::Number) | (Type::Int | Type::Number, Type::Text) => {
                    Some("a string is written in quotes, a number without".to_owned())
                }
                _ => None,
            };
            let message = format!("{} cannot be compared with {}", left.of.one(), right.of.one());
            self.fault(at, message, help);
            return None;
        }
        if left.of == Type::Bool && !matches!(compare, Compare::Equal | Compare::NotEqual) {
            self.fault(at, "true and false have no order".to_owned(), None);
            return None;
        }
        self.words(&left, &right)?;
        self.words(&right, &left)?;
        Some(Checked { node: Node::Compare(compare, Box::new([left.node, right.node])), of: Type::Bool, at })
    }

    /// A field that takes only some words, and a literal that must be one of them.
    fn words(&mut self, field: &Checked, literal: &Checked) -> Option<()> {
        let (Node::Field(field), Node::Literal(Value::Text(word))) = (&field.node, &literal.node) else {
            return Some(());
        };
        self.word(field, word, literal.at)
    }

    fn word(&mut self, field: &'static Field, word: &str, at: (usize, usize)) -> Option<()> {
        let mut words: Vec<&str> = Vec::new();
        if field.name == "kind" {
            words.extend(self.context.kinds.iter().map(|kind| kind.id));
        } else {
            for class in self.context.classes {
                let own = field.words_of(*class);
                if own.is_empty() {
                    // One class takes any word: nothing can be said.
                    return Some(());
                }
                words.extend(own);
            }
        }
        if words.is_empty() || words.contains(&word) {
            return Some(());
        }
        words.sort_unstable();
        words.dedup();
        let help = did_you_mean(word, words.iter().copied()).unwrap_or_else(|| format!("one of: {}", words.join(", ")));
        self.fault(at, format!("`{}` is never \"{word}\"", field.name), Some(help));
        None
    }

    fn is_in(&mut self, of: &IdedExpr, list: &IdedExpr, at: (usize, usize)) -> Option<Checked> {
        let of = self.check(of)?;
        let Expr::List(list) = &list.expr else {
            let at = self.span(list);
            self.fault(at, "after `in` stands a list: `[\"a\", \"b\"]`".to_owned(), None);
            return None;
        };
        if list.elements.is_empty() {
            self.fault(at, "nothing is in an empty list".to_owned(), None);
            return None;
        }
        let mut values = Vec::new();
        let mut left = Checked { node: of.node, of: of.of, at: of.at };
        for element in &list.elements {
            let mut item = self.check(element)?;
            align(&mut left, &mut item);
            let Node::Literal(value) = &item.node else {
                self.fault(item.at, "a list has only written values".to_owned(), None);
                return None;
            };
            if item.of != left.of {
                let message = format!("{} is never {}", left.of.one(), item.of.one());
                self.fault(item.at, message, None);
                return None;
            }
            values.push(value.clone());
            self.words(&left, &item)?;
        }
        Some(Checked { node: Node::In(Box::new(left.node), values.into_boxed_slice()), of: Type::Bool, at })
    }

    fn arithmetic(&mut self, name: &str, left: &IdedExpr, right: &IdedExpr, at: (usize, usize)) -> Option<Checked> {
        let (left, right) = (self.check(left), self.check(right));
        let (left, right) = (left?, right?);
        let adds = name == op::ADD;
        let of = match (left.of, right.of) {
            (Type::Int, Type::Int) => Type::Int,
            (Type::Span, Type::Span) => Type::Span,
            (Type::Time, Type::Span) => Type::Time,
            (Type::Span, Type::Time) if adds => Type::Time,
            (Type::Time, Type::Time) if !adds => Type::Span,
            (left, right) => {
                let verb = if adds { "added to" } else { "taken from" };
                let message = format!("{} cannot be {verb} {}", right.one(), left.one());
                self.fault(at, message, None);
                return None;
            }
        };
        let sides = Box::new([left.node, right.node]);
        Some(Checked { node: if adds { Node::Add(sides) } else { Node::Subtract(sides) }, of, at })
    }

    fn constant(
        &mut self,
        text: &IdedExpr,
        at: (usize, usize),
        example: &str,
        read: impl Fn(&str) -> Option<Value<'static>>,
    ) -> Option<Checked> {
        let value = match &text.expr {
            Expr::Literal(LiteralValue::String(text)) => read(text.inner()),
            _ => None,
        };
        if value.is_none() {
            self.fault(at, "cannot be read".to_owned(), Some(format!("write `{example}`")));
        }
        value.map(|value| Checked { of: value.of(), node: Node::Literal(value), at })
    }

    fn size(&mut self, of: &IdedExpr, at: (usize, usize)) -> Option<Checked> {
        let of = self.check(of)?;
        if of.of != Type::Text {
            self.fault(of.at, format!("{} has no size", of.of.one()), None);
            return None;
        }
        Some(Checked { node: Node::Size(Box::new(of.node)), of: Type::Int, at })
    }

    fn search(&mut self, search: Search, of: &IdedExpr, part: &IdedExpr, at: (usize, usize)) -> Option<Checked> {
        let (of, part) = (self.check(of), self.check(part));
        let (of, part) = (of?, part?);
        for side in [&of, &part] {
            if side.of != Type::Text {
                self.fault(side.at, format!("this is {}, not a string", side.of.one()), None);
                return None;
            }
        }
        Some(Checked { node: Node::Search(search, Box::new([of.node, part.node])), of: Type::Bool, at })
    }
}

/// CEL's durations in whole seconds: `720h`, `1h30m`, `-90s`.
fn cel_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut sum = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(if negative { -sum } else { sum })
}
