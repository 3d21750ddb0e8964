//! Reads a CSV file, plain or gzip, into rows; one that begins with `{` is lines of JSON. Every field is looked at as far as its end, and no further unless its
//! column is needed.

use crate::{
    columns::{Columns, Use},
    exact, json,
    names::Print,
    native::{Cells, Format, Mapping, Taker},
    partial::Partial,
    request::Key,
    row::{
        At, Cost, Flaw, Lexicon, Needs, Place, Rows, Word, canonical, check, cleaned, instant, is_null, period,
        sensible, shortened,
    },
    source::Opened,
};
use flate2::bufread::MultiGzDecoder;
use memchr::{memchr, memchr_iter, memchr2};
use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read},
};

const INPUT: usize = 1 << 18;
const BUFFER: usize = 1 << 20;
/// A row of a real bill is some kilobytes, most of them tags.
const LONGEST_ROW: usize = 16 << 20;
const BATCH: usize = 8_192;

/// Where in the file a refusal points, and why.
pub(crate) type Refused = (Option<At>, String);

/// Adds the charges of a file.
pub(crate) fn read(file: &str, opened: Opened, needs: &Needs, partial: &mut Partial) -> Result<(), Refused> {
    let mut input = BufReader::with_capacity(INPUT, opened.read());
    let gzip = input.fill_buf().map_err(|error| (None, error.to_string()))?.starts_with(&[0x1f, 0x8b]);
    if gzip { rows_of(file, MultiGzDecoder::new(input), needs, partial) } else { rows_of(file, input, needs, partial) }
}

pub(crate) fn failed(line: u64) -> impl Fn(io::Error) -> Refused {
    move |error| {
        let problem = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the compressed file is cut off".to_owned(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                format!("the compressed file is broken: {error}")
            }
            _ => error.to_string(),
        };
        (Some(At::Line(line)), problem)
    }
}

/// The part of the file that is in memory.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next row starts, and where what was read ends.
    start: usize,
    end: usize,
    finished: bool,
}

impl<R: Read> Window<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER], start: 0, end: 0, finished: false }
    }

    fn text(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads on. The unfinished row moves to the front.
    fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        // As much as fits: a decompressor gives some kilobytes at a time.
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.finished = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Where a field lies in its row, without its quotes; and whether quotes are doubled in it.
#[derive(Clone, Copy)]
struct Field {
    start: u32,
    end: u32,
    doubled: bool,
}

enum Step {
    /// A whole row, its length with the end of the line, and how many lines it goes over.
    Row(usize, u64),
    /// It goes on beyond what is in memory.
    More,
    Broken(String),
}

/// Finds the fields of the row that `text` starts with.
fn split(text: &[u8], last: bool, fields: &mut Vec<Field>) -> Step {
    fields.clear();
    let (mut at, mut lines) = (0, 1);
    loop {
        let start = at;
        if text.get(at) == Some(&b'"') {
            at += 1;
            let mut doubled = false;
            loop {
                match near_quote(&text[at..]) {
                    None if last => {
                        return Step::Broken("a quoted field does not end: the file is cut off or broken".into());
                    }
                    None => return Step::More,
                    Some(quote) => at += quote + 1,
                }
                if text.get(at) != Some(&b'"') {
                    break;
                }
                doubled = true;
                at += 1;
            }
            if at == text.len() && !last {
                return Step::More;
            }
            let inner = &text[start + 1..at - 1];
            if memchr(b'\n', inner).is_some() {
                lines += memchr_iter(b'\n', inner).count() as u64;
            }
            fields.push(Field { start: start as u32 + 1, end: at as u32 - 1, doubled });
            match text.get(at) {
                Some(b',') => at += 1,
                Some(b'\n') => return Step::Row(at + 1, lines),
                Some(b'\r') if text.get(at + 1) == Some(&b'\n') => return Step::Row(at + 2, lines),
                Some(b'\r') if at + 1 == text.len() && !last => return Step::More,
                None => return Step::Row(at, lines),
                Some(_) => return Step::Broken("text after a quoted field: the file is broken".into()),
            }
        } else {
            let Some(length) = near_end(&text[at..]) else {
                if !last {
                    return Step::More;
                }
                fields.push(Field { start: start as u32, end: text.len() as u32, doubled: false });
                return Step::Row(text.len(), lines);
            };
            at += length;
            if text[at] == b',' {
                fields.push(Field { start: start as u32, end: at as u32, doubled: false });
                at += 1;
            } else {
                let end = if at > start && text[at - 1] == b'\r' { at - 1 } else { at };
                fields.push(Field { start: start as u32, end: end as u32, doubled: false });
                return Step::Row(at + 1, lines);
            }
        }
    }
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// Marks the bytes of eight that are `byte`. A mark is sure only when there is none below it.
#[inline]
fn marks(word: u64, byte: u8) -> u64 {
    let differing = word ^ (EACH * u64::from(byte));
    differing.wrapping_sub(EACH) & !differing & (EACH << 7)
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..)?.first_chunk::<8>()?))
}

/// The first quote. In tags, JSON as they are, there is one every few bytes: too close for a search that takes long
/// strides.
#[inline]
fn near_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < 64 {
        let Some(eight) = word(text, at) else { break };
        let found = marks(eight, b'"');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(b'"', &text[at..]).map(|found| at + found)
}

/// The first comma or line end. Most fields are short.
#[inline]
fn near_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < 16 {
        let Some(eight) = word(text, at) else { break };
        let found = marks(eight, b',') | marks(eight, b'\n');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b',', b'\n', &text[at..]).map(|found| at + found)
}

/// What a field says, without blanks around it.
#[inline]
fn said(text: &[u8], field: Field) -> Cow<'_, [u8]> {
    let raw = &text[field.start as usize..field.end as usize];
    if !field.doubled {
        return Cow::Borrowed(cleaned(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(cleaned(&out).to_vec())
}

/// Where what is needed lies in each row.
struct Places {
    start: usize,
    end: Option<usize>,
    currency: usize,
    lane: Option<(usize, usize, Option<usize>)>,
    amounts: Vec<(Cost, usize)>,
    keys: Vec<(Key, usize)>,
}

impl Places {
    fn of(columns: &Columns) -> Option<Self> {
        let word = |word: Word| columns.place(Use::Word(word));
        let (mut amounts, mut keys) = (Vec::new(), Vec::new());
        for (wanted, place) in &columns.read {
            match wanted {
                Use::Cost(cost) => amounts.push((*cost, *place)),
                Use::Key(key) => keys.push((*key, *place)),
                Use::Start | Use::End | Use::Word(_) => {}
            }
        }
        let lane =
            word(Word::Category).zip(word(Word::Class)).map(|(category, class)| (category, class, word(Word::Status)));
        Some(Self {
            start: columns.place(Use::Start)?,
            end: columns.place(Use::End),
            currency: word(Word::Currency)?,
            lane,
            amounts,
            keys,
        })
    }
}

/// The names of a column that wait to be numbered together: one by one, each would be waited for.
#[derive(Default)]
struct Waiting {
    key: Option<Key>,
    prints: Vec<Print>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Waiting {
    fn push(&mut self, key: Key, name: &[u8], lexicon: &Lexicon) {
        self.key = Some(key);
        self.prints.push(lexicon.print(key, name));
        self.text.extend_from_slice(name);
        self.ends.push(self.text.len());
    }

    fn name(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    fn clear(&mut self) {
        self.prints.clear();
        self.text.clear();
        self.ends.clear();
    }
}

/// What is done with the rows of a file: FOCUS rows one way, native ones another, decided once a file.
trait Take {
    /// Whether the last column of the file is read.
    fn reads_last(&self, width: usize) -> bool;

    fn take(&mut self, text: &[u8], fields: &[Field], line: u64, partial: &mut Partial) -> Result<(), String>;

    /// Adds what was taken.
    fn finish(&mut self, partial: &mut Partial) -> Result<(), String>;
}

fn rows_of(file: &str, input: impl Read, needs: &Needs, partial: &mut Partial) -> Result<(), Refused> {
    let mut window = Window::new(input);
    let mut fields = Vec::new();
    window.more().map_err(failed(1))?;
    if window.text().trim_ascii_start().starts_with(b"{") {
        let read = io::Cursor::new(window.text().to_vec());
        return json::read(file, BufReader::new(read.chain(window.input)), needs, partial);
    }
    let Some((length, lines)) = next_row(&mut window, 1, &mut fields)? else {
        return Err((None, "it is empty".to_owned()));
    };
    let text = &window.text()[..length];
    let mut names = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let name = said(text, *field);
        let name = if index == 0 { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&name) } else { &name };
        // The mark comes before the quote of a quoted name.
        names.push(String::from_utf8_lossy(name).trim_matches('"').trim().to_owned());
    }
    window.start += length;
    let (width, line) = (names.len(), 1 + lines);
    let refused = |problem: String| (None, problem);
    match Format::of(names.iter().map(String::as_str)) {
        Format::Focus => {
            let columns = Columns::find(needs, names.iter().map(String::as_str)).map_err(refused)?;
            let last = columns.read.iter().any(|(_, place)| place + 1 == width);
            let places = Places::of(&columns).ok_or_else(|| (None, "it has no header".to_owned()))?;
            let mut waiting: Vec<Waiting> = Vec::new();
            waiting.resize_with(places.keys.len(), Waiting::default);
            let currency = (Vec::new(), 0);
            let focus = Focus { file, needs, places, last, rows: Rows::default(), waiting, currency };
            each(window, fields, width, line, focus, partial)
        }
        format => {
            let mapping = Mapping::find(format, needs, names).map_err(refused)?;
            each(window, fields, width, line, Taker::new(&mapping, needs, file), partial)
        }
    }
}

/// Finds the next row, its length and how many lines it goes over; none at the end.
fn next_row<R: Read>(
    window: &mut Window<R>,
    line: u64,
    fields: &mut Vec<Field>,
) -> Result<Option<(usize, u64)>, Refused> {
    loop {
        match split(window.text(), window.finished, fields) {
            Step::Row(0, _) => return Ok(None),
            Step::Row(length, lines) => return Ok(Some((length, lines))),
            Step::Broken(problem) => return Err((Some(At::Line(line)), problem)),
            Step::More => {
                if window.text().len() > LONGEST_ROW {
                    return Err((Some(At::Line(line)), "a row that is longer than 16 MiB".to_owned()));
                }
                window.more().map_err(failed(line))?;
            }
        }
    }
}

/// Goes over the rows after the header.
fn each<R: Read>(
    mut window: Window<R>,
    mut fields: Vec<Field>,
    width: usize,
    mut line: u64,
    mut taker: impl Take,
    partial: &mut Partial,
) -> Result<(), Refused> {
    let read_last = taker.reads_last(width);
    while let Some((length, lines)) = next_row(&mut window, line, &mut fields)? {
        let text = &window.text()[..length];
        let ended = text.ends_with(b"\n");
        let blank = fields.len() == 1 && fields[0].start == fields[0].end && width > 1;
        if !blank {
            if fields.len() != width {
                let problem =
                    format!("it has {} fields, the header {width}: the file is cut off or broken", fields.len());
                return Err((Some(At::Line(line)), problem));
            }
            // A file cut inside its last field has the right number of fields.
            if !ended && read_last {
                let problem = "the last line does not end: the file may be cut off inside an amount".to_owned();
                return Err((Some(At::Line(line)), problem));
            }
            taker.take(text, &fields, line, partial).map_err(|problem| (Some(At::Line(line)), problem))?;
        }
        line += lines;
        window.start += length;
    }
    taker.finish(partial).map_err(|problem| (Some(At::Line(line)), problem))
}

/// Takes the rows of a FOCUS file.
struct Focus<'a> {
    file: &'a str,
    needs: &'a Needs,
    places: Places,
    /// Whether the last column is read.
    last: bool,
    rows: Rows,
    waiting: Vec<Waiting>,
    /// The currency met last: all rows of most bills have one.
    currency: (Vec<u8>, u32),
}

impl Take for Focus<'_> {
    fn reads_last(&self, _width: usize) -> bool {
        self.last
    }

    #[inline]
    fn take(&mut self, text: &[u8], fields: &[Field], line: u64, partial: &mut Partial) -> Result<(), String> {
        let Self { file, needs, places, rows, waiting, currency, .. } = self;
        match row(places, text, fields, needs, &mut partial.lexicon, rows, waiting, currency) {
            Ok(None) => {}
            Ok(Some(met)) => {
                let place = Place { file: (*file).to_owned(), at: At::Line(line) };
                partial.lexicon.currency(met, place, &needs.rates);
            }
            Err(problem) => {
                let place = Place { file: (*file).to_owned(), at: At::Line(line) };
                partial.excluded.add(Flaw { place, problem });
            }
        }
        if rows.day.len() == BATCH { hand_on(needs, rows, waiting, partial) } else { Ok(()) }
    }

    fn finish(&mut self, partial: &mut Partial) -> Result<(), String> {
        hand_on(self.needs, &mut self.rows, &mut self.waiting, partial)
    }
}

/// A row of a native export.
struct Line<'a> {
    text: &'a [u8],
    fields: &'a [Field],
}

impl Cells for Line<'_> {
    fn text(&self, place: usize) -> Cow<'_, [u8]> {
        said(self.text, self.fields[place])
    }
}

impl Take for Taker<'_> {
    fn reads_last(&self, width: usize) -> bool {
        self.reads(width - 1)
    }

    fn take(&mut self, text: &[u8], fields: &[Field], line: u64, partial: &mut Partial) -> Result<(), String> {
        Taker::take(self, &Line { text, fields }, At::Line(line), partial)
    }

    fn finish(&mut self, partial: &mut Partial) -> Result<(), String> {
        self.hand_on(partial)
    }
}

fn hand_on(needs: &Needs, rows: &mut Rows, waiting: &mut [Waiting], partial: &mut Partial) -> Result<(), String> {
    for names in waiting {
        if let Some(key) = names.key {
            let out = &mut rows.names[key as usize];
            partial.lexicon.keys[key as usize].numbers(&names.prints, out, |index| canonical(key, names.name(index)));
        }
        names.clear();
    }
    if needs.lanes {
        rows.finish();
    }
    for key in &needs.keys {
        rows.names[*key as usize].resize(rows.day.len(), 0);
    }
    partial.add(rows)?;
    rows.clear();
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "what is kept from row to row, each borrowed by itself")]
/// Adds one row. Returns the number of its currency when that is another than the row before had.
fn row(
    places: &Places,
    text: &[u8],
    fields: &[Field],
    needs: &Needs,
    lexicon: &mut Lexicon,
    rows: &mut Rows,
    waiting: &mut [Waiting],
    currency: &mut (Vec<u8>, u32),
) -> Result<Option<u32>, String> {
    let field = |place: usize| said(text, fields[place]);
    let time = |place: usize, column: &str| {
        let written = field(place);
        if is_null(&written) {
            return Err(format!("{column} is null"));
        }
        let wrong = || format!("{column} is not a time: `{}`", shortened(&String::from_utf8_lossy(&written)));
        instant(&written).ok_or_else(wrong)
    };
    let start = time(places.start, "ChargePeriodStart")?;
    let end = places.end.map(|place| time(place, "ChargePeriodEnd")).transpose()?;
    if sensible(start) && !needs.wants(start, end) {
        return Ok(None);
    }
    let (day, days) = period(start, end)?;
    let mut amounts = [0; Cost::ALL.len()];
    for (cost, place) in &places.amounts {
        let written = field(*place);
        let units = if written.is_empty() { cost.null() } else { exact::of_text(&written) };
        amounts[*cost as usize] = units.ok_or_else(|| {
            let shown =
                if written.is_empty() { "null".to_owned() } else { String::from_utf8_lossy(&written).into_owned() };
            format!("{} is not an amount: `{}`", cost.column(), shortened(&shown))
        })?;
    }
    let lane = match places.lane {
        None => None,
        Some((category, class, status)) => {
            let category = lexicon.word(Word::Category, &field(category))?;
            let class = lexicon.word(Word::Class, &field(class))?;
            let status = match status {
                Some(place) => lexicon.word(Word::Status, &field(place))?,
                None => 0,
            };
            Some(lexicon.lane(category, class, status)?)
        }
    };
    for (key, place) in &places.keys {
        check(*key, &field(*place))?;
    }
    let mut met = None;
    let written = field(places.currency);
    if currency.1 == 0 || currency.0 != *written {
        if written.is_empty() {
            return Err("no BillingCurrency".to_owned());
        }
        let number = lexicon.word(Word::Currency, &written)?;
        *currency = (written.to_vec(), number);
        met = Some(number);
    }
    if let Some(converter) = needs.converter(lexicon, currency.1) {
        let money = Cost::ALL.iter().zip(&mut amounts).filter(|(cost, _)| cost.is_money());
        if let Err(problem) = converter.convert(day, money.map(|(_, units)| units)) {
            // The next row of it is the first that is met.
            currency.1 = 0;
            return Err(problem);
        }
    }
    rows.day.push(day);
    if end.is_some() {
        rows.days.push(days);
    }
    rows.lane.extend(lane);
    for (cost, _) in &places.amounts {
        rows.amounts[*cost as usize].push(amounts[*cost as usize]);
    }
    for ((key, place), waiting) in places.keys.iter().zip(waiting) {
        waiting.push(*key, &field(*place), lexicon);
    }
    Ok(met)
}
