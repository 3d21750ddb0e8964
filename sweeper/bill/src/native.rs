//! Native exports of the clouds: which of them a file is, where in it what is needed lies, and what a row says.
//!
//! A file is recognised by the names of its columns, once; every row of it goes the same way from then on. FOCUS files
//! take none of these ways.
//!
//! - [`crate::cur`]: AWS Cost and Usage Report, 2.0 (Data Exports) and legacy.
//! - [`crate::azure_cost`]: Azure cost details, actual and amortised.
//! - [`crate::gcp_usage`]: Google Cloud detailed (or standard) usage cost, taken out of BigQuery.

use crate::{
    azure_cost, cur, exact,
    focus::Lane,
    gcp_usage,
    partial::Partial,
    request::{Key, Spread},
    row::{
        At, Cost, DAY_MILLIS, Flaw, Lexicon, Needs, Place, Rows, Word, cleaned, instant, period, sensible, shortened,
    },
};
use std::borrow::Cow;

const BATCH: usize = 8_192;

/// What a file of charges is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Focus,
    Cur,
    Azure,
    Gcp,
}

/// A column that a native format is read by, whatever each calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Start,
    End,
    /// The first day of the bill: for charges that tell no day of their own.
    BillStart,
    /// What sort of charge a row is.
    Kind,
    Currency,
    Cost,
    List,
    Quantity,
    /// The id of the reservation, or of the savings plan, that a charge belongs to.
    Reservation,
    SavingsPlan,
    // AWS.
    NetCost,
    PlanEffective,
    NetPlanEffective,
    PlanTotal,
    PlanUsed,
    ReservationEffective,
    NetReservationEffective,
    UnusedUpfront,
    NetUnusedUpfront,
    UnusedRecurring,
    NetUnusedRecurring,
    // Azure.
    PricingModel,
    ListPrice,
    ContractedPrice,
    EffectivePrice,
    // Google.
    Contracted,
    Sku,
    Credits,
}

impl Field {
    const COUNT: usize = Self::Credits as usize + 1;

    /// What is looked for in it.
    fn content(self) -> Content {
        match self {
            Self::Start | Self::End | Self::BillStart => Content::Time,
            Self::Kind | Self::Currency | Self::Reservation | Self::SavingsPlan | Self::PricingModel | Self::Sku => {
                Content::Text
            }
            Self::Credits => Content::Credits,
            _ => Content::Amount,
        }
    }

    fn is_needed(self, needs: &Needs) -> bool {
        let costs = |wanted: &[Cost]| needs.amounts.iter().any(|cost| wanted.contains(cost));
        match self {
            Self::End => needs.spread == Spread::Days,
            Self::List => costs(&[Cost::List]),
            Self::Contracted | Self::ContractedPrice => costs(&[Cost::Contracted]),
            Self::ListPrice => costs(&[Cost::List]),
            Self::EffectivePrice => costs(&[Cost::List, Cost::Contracted]),
            Self::Quantity => costs(&[Cost::Quantity, Cost::List, Cost::Contracted]),
            _ => true,
        }
    }
}

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Time,
    Text,
    Amount,
    Credits,
    /// A map, of which one value is taken.
    Map,
}

/// How a format names what it is read by.
pub(crate) struct Layout {
    /// As in `this looks like …`.
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    /// What for, its names (the first that is there counts), and whether a file without it is no bill.
    pub(crate) fields: &'static [(Field, &'static [&'static str], bool)],
    /// Names of a key: of each row the first that is not null. `product[product_name]` is a value of a map, which is
    /// read where nothing else is there: maps are costly.
    pub(crate) keys: &'static [(Key, &'static [&'static str])],
    /// So named columns are of this format; two of them tell it.
    pub(crate) marks: &'static [&'static str],
}

impl Format {
    const NATIVE: [Self; 3] = [Self::Cur, Self::Azure, Self::Gcp];

    fn layout(self) -> Option<&'static Layout> {
        match self {
            Self::Focus => None,
            Self::Cur => Some(&cur::LAYOUT),
            Self::Azure => Some(&azure_cost::LAYOUT),
            Self::Gcp => Some(&gcp_usage::LAYOUT),
        }
    }

    /// Tells it by the names of columns. What is none of the others is held against FOCUS.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        // Columns that FOCUS demands of every file and no other format has.
        const FOCUS: [&str; 5] =
            ["chargeperiodstart", "chargecategory", "billedcost", "effectivecost", "billingperiodstart"];
        let names: Vec<String> = names.map(spelled).collect();
        if names.iter().any(|name| FOCUS.contains(&name.as_str())) {
            return Self::Focus;
        }
        let marks = |format: &Self| {
            let marks = format.layout().map_or(&[][..], |layout| layout.marks);
            marks.iter().filter(|mark| names.iter().any(|name| name == *mark)).count()
        };
        Self::NATIVE.into_iter().max_by_key(marks).filter(|format| marks(format) >= 2).unwrap_or(Self::Focus)
    }
}

/// A name of a column as it is compared: `lineItem/UnblendedCost`, `service.description` and
/// `Service_Description` are spelled as query engines do.
pub(crate) fn spelled(name: &str) -> String {
    // The legacy report of AWS writes `lineItem/NetUnblendedCost` in CSV and `line_item_net_unblended_cost` in Parquet.
    if let Some((group, column)) = name.split_once('/') {
        let mut out = String::new();
        for (index, letter) in group.chars().chain(['/']).chain(column.chars()).enumerate() {
            match letter {
                '/' => out.push('_'),
                upper if upper.is_ascii_uppercase() => {
                    if index > 0 && !out.ends_with('_') {
                        out.push('_');
                    }
                    out.push(upper.to_ascii_lowercase());
                }
                other => out.push(other),
            }
        }
        return out;
    }
    name.to_ascii_lowercase().replace("__", "_").replace('.', "_")
}

/// Where a name of a key is taken from.
#[derive(Clone, Debug)]
enum Origin {
    Column(usize),
    /// A value of a map.
    Entry(usize, &'static str),
}

/// Where in a file what is needed of a native format lies.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) format: Format,
    /// By field: which of the file's columns it is.
    places: [Option<usize>; Field::COUNT],
    keys: Vec<(Key, Vec<Origin>)>,
    /// Each column that is read once, and as what.
    pub(crate) read: Vec<(usize, Content)>,
    /// Of all columns.
    names: Vec<String>,
}

impl Mapping {
    /// Finds what is needed among the columns of a file.
    pub(crate) fn find(format: Format, needs: &Needs, names: Vec<String>) -> Result<Self, String> {
        let Some(layout) = format.layout() else { return Err("it is no native export".to_owned()) };
        let lacks = |name: &str| format!("this looks like {} but lacks `{name}`", layout.name);
        let spelling: Vec<String> = names.iter().map(|name| spelled(name)).collect();
        let find = |wanted: &str| -> Result<Option<usize>, String> {
            let wanted = spelled(wanted);
            let mut found = spelling.iter().enumerate().filter(|(_, name)| **name == wanted);
            match (found.next(), found.next()) {
                (Some((place, _)), Some(_)) => Err(format!("it has two columns {}", names[place])),
                (found, _) => Ok(found.map(|(place, _)| place)),
            }
        };
        let mut mapping =
            Self { format, places: [None; Field::COUNT], keys: Vec::new(), read: Vec::new(), names: Vec::new() };
        for (field, columns, mandatory) in layout.fields {
            if !field.is_needed(needs) {
                continue;
            }
            let mut place = None;
            for column in *columns {
                place = match place {
                    None => find(column)?,
                    found => found,
                };
            }
            match place {
                Some(place) => mapping.reads(place, field.content()),
                None if *mandatory => return Err(lacks(columns.first().copied().unwrap_or_default())),
                None => {}
            }
            mapping.places[*field as usize] = place;
        }
        for key in &needs.keys {
            let mut origins = Vec::new();
            let columns = layout.keys.iter().find(|(of, _)| of == key).map_or(&[][..], |(_, columns)| columns);
            for column in columns {
                let (column, entry) = match column.split_once('[') {
                    Some((column, entry)) => (column, Some(entry.trim_end_matches(']'))),
                    None => (*column, None),
                };
                match (find(column)?, entry) {
                    (Some(place), None) => {
                        mapping.reads(place, Content::Text);
                        origins.push(Origin::Column(place));
                    }
                    (Some(place), Some(entry)) if origins.is_empty() => {
                        mapping.reads(place, Content::Map);
                        origins.push(Origin::Entry(place, entry));
                    }
                    _ => {}
                }
            }
            if origins.is_empty() && key.is_mandatory() && *key != Key::Provider {
                let first = columns.first().copied().unwrap_or_default();
                return Err(lacks(first));
            }
            mapping.keys.push((*key, origins));
        }
        mapping.names = names;
        Ok(mapping)
    }

    fn reads(&mut self, place: usize, content: Content) {
        if !self.read.iter().any(|(other, _)| *other == place) {
            self.read.push((place, content));
        }
    }

    pub(crate) fn place(&self, field: Field) -> Option<usize> {
        self.places[field as usize]
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.place(field).is_some()
    }

    /// What the file calls a field.
    pub(crate) fn name(&self, field: Field) -> &str {
        match self.place(field) {
            Some(place) => &self.names[place],
            None => self.layout_name(field),
        }
    }

    /// What the format calls a field that the file does not have.
    fn layout_name(&self, field: Field) -> &'static str {
        let fields = self.format.layout().map_or(&[][..], |layout| layout.fields);
        let columns = fields.iter().find(|(of, ..)| *of == field).map(|(_, columns, _)| *columns);
        columns.and_then(<[_]>::first).copied().unwrap_or_default()
    }
}

/// The cells of one row, by the place of their column. Blanks around a text are nothing, and so is `null`.
pub(crate) trait Cells {
    /// Empty where it is null.
    fn text(&self, place: usize) -> Cow<'_, [u8]>;

    /// None where it is null; an error is what stands there.
    fn amount(&self, place: usize) -> Result<Option<i128>, String> {
        match &*self.text(place) {
            b"" => Ok(None),
            text => exact::of_text(text).map(Some).ok_or_else(|| String::from_utf8_lossy(text).into_owned()),
        }
    }

    /// Milliseconds since 1970; as an amount.
    fn time(&self, place: usize) -> Result<Option<i64>, String> {
        match &*self.text(place) {
            b"" => Ok(None),
            text => instant_of(text).map(Some).ok_or_else(|| String::from_utf8_lossy(text).into_owned()),
        }
    }

    /// The value of a map; empty where there is none.
    fn entry(&self, place: usize, key: &str) -> Cow<'_, [u8]> {
        Cow::Owned(entry_of(&self.text(place), key))
    }

    /// Type and amount of each credit; the type is empty where it is null. An error says what is wrong.
    fn credits(&self, place: usize) -> Result<Vec<(String, i128)>, String> {
        credits_in(&self.text(place))
    }
}

/// The value of a map that is written as JSON.
pub(crate) fn entry_of(map: &[u8], key: &str) -> Vec<u8> {
    let map = serde_json::from_slice::<serde_json::Value>(map).ok();
    let value = map.as_ref().and_then(|map| map.get(key)?.as_str());
    value.map_or_else(Vec::new, |value| cleaned(value.as_bytes()).to_vec())
}

/// The credits of an array that is written as JSON.
pub(crate) fn credits_in(text: &[u8]) -> Result<Vec<(String, i128)>, String> {
    let odd = || format!("is no list of credits: `{}`", shortened(&String::from_utf8_lossy(text)));
    match text {
        b"" => Ok(Vec::new()),
        text => credits_of(&serde_json::from_slice(text).map_err(|_| odd())?),
    }
}

/// The credits of a JSON array.
pub(crate) fn credits_of(value: &serde_json::Value) -> Result<Vec<(String, i128)>, String> {
    let odd = || format!("is no list of credits: `{}`", shortened(&value.to_string()));
    let list = match value {
        serde_json::Value::Null => return Ok(Vec::new()),
        value => value.as_array().ok_or_else(odd)?,
    };
    let mut credits = Vec::new();
    for credit in list {
        let amount = credit.get("amount").and_then(amount_of).ok_or_else(odd)?;
        let kind = credit.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
        credits.push((kind.to_owned(), amount));
    }
    Ok(credits)
}

/// The units of a number, or of a text that is one, in JSON.
fn amount_of(value: &serde_json::Value) -> Option<i128> {
    match value {
        serde_json::Value::String(text) => exact::of_text(text.trim().as_bytes()),
        serde_json::Value::Number(number) => exact::of_text(number.to_string().as_bytes()),
        _ => None,
    }
}

/// An instant as exports write it: as FOCUS does, or `09/30/2026`, month first, as cost exports of Azure do.
pub(crate) fn instant_of(text: &[u8]) -> Option<i64> {
    if text.contains(&b'/') {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split(' ').next()?.split('/');
        let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || year.len() != 4 {
            return None;
        }
        let date = jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
        return Some(i64::from(crate::request::number_of(date)) * DAY_MILLIS);
    }
    instant(text)
}

/// One row of a native export.
pub(crate) struct Row<'a, C> {
    mapping: &'a Mapping,
    cells: &'a C,
}

impl<C: Cells> Row<'_, C> {
    pub(crate) fn has(&self, field: Field) -> bool {
        self.mapping.has(field)
    }

    pub(crate) fn name(&self, field: Field) -> &str {
        self.mapping.name(field)
    }

    /// Empty where it is null, or the file has no such column.
    pub(crate) fn text(&self, field: Field) -> Cow<'_, [u8]> {
        self.mapping.place(field).map_or(Cow::Borrowed(b""), |place| self.cells.text(place))
    }

    /// None where it is null, or the file has no such column.
    pub(crate) fn amount(&self, field: Field) -> Result<Option<i128>, String> {
        let Some(place) = self.mapping.place(field) else { return Ok(None) };
        let wrong = |shown: String| format!("{} is not an amount: `{}`", self.name(field), shortened(&shown));
        self.cells.amount(place).map_err(wrong)
    }

    /// An amount that the row has no cost without.
    pub(crate) fn cost(&self, field: Field) -> Result<i128, String> {
        self.amount(field)?.ok_or_else(|| format!("{} is null", self.name(field)))
    }

    fn time(&self, field: Field) -> Result<Option<i64>, String> {
        let Some(place) = self.mapping.place(field) else { return Ok(None) };
        let wrong = |shown: String| format!("{} is not a time: `{}`", self.name(field), shortened(&shown));
        self.cells.time(place).map_err(wrong)
    }

    pub(crate) fn credits(&self) -> Result<Vec<(String, i128)>, String> {
        let Some(place) = self.mapping.place(Field::Credits) else { return Ok(Vec::new()) };
        self.cells.credits(place).map_err(|problem| format!("{} {problem}", self.name(Field::Credits)))
    }
}

/// What a row charges. A row may charge twice: usage, and the credit that is given for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) lane: Lane,
    pub(crate) effective: i128,
    pub(crate) billed: i128,
    /// 0 where it is not known, as in FOCUS files.
    pub(crate) contracted: i128,
    /// Likewise.
    pub(crate) list: i128,
    pub(crate) quantity: i128,
}

impl Charge {
    /// Effective, contracted and billed are one.
    pub(crate) fn plain(lane: Lane, cost: i128) -> Self {
        Self { lane, effective: cost, billed: cost, contracted: cost, list: 0, quantity: 0 }
    }

    fn amount(&self, cost: Cost) -> i128 {
        match cost {
            Cost::Effective => self.effective,
            Cost::Billed => self.billed,
            Cost::Contracted => self.contracted,
            Cost::List => self.list,
            Cost::Quantity => self.quantity,
        }
    }
}

/// Takes the rows of a file, or of a part of it.
pub(crate) struct Taker<'a> {
    mapping: &'a Mapping,
    needs: &'a Needs,
    file: &'a str,
    rows: Rows,
    charges: Vec<Charge>,
    names: Vec<u32>,
    /// The currency met last, and its number.
    currency: (Vec<u8>, u32),
    evidence: azure_cost::Evidence,
}

impl<'a> Taker<'a> {
    pub(crate) fn new(mapping: &'a Mapping, needs: &'a Needs, file: &'a str) -> Self {
        Self {
            mapping,
            needs,
            file,
            rows: Rows::default(),
            charges: Vec::new(),
            names: Vec::new(),
            currency: (Vec::new(), 0),
            evidence: azure_cost::Evidence::default(),
        }
    }

    /// Whether a column of the file is read.
    pub(crate) fn reads(&self, place: usize) -> bool {
        self.mapping.read.iter().any(|(other, _)| *other == place)
    }

    fn place(&self, at: At) -> Place {
        Place { file: self.file.to_owned(), at }
    }

    /// Takes a row; one that is wrong is left out, and told of. Fails when there is no room for more groups.
    pub(crate) fn take(&mut self, cells: &impl Cells, at: At, partial: &mut Partial) -> Result<(), String> {
        match self.row(cells, at, &mut partial.lexicon) {
            Ok(()) => {}
            Err(problem) => partial.excluded.add(Flaw { place: self.place(at), problem }),
        }
        if self.rows.day.len() >= BATCH { self.hand_on(partial) } else { Ok(()) }
    }

    /// Adds the rows that were taken.
    pub(crate) fn hand_on(&mut self, partial: &mut Partial) -> Result<(), String> {
        if self.needs.lanes {
            self.rows.finish();
        }
        if !self.rows.day.is_empty() {
            partial.add(&self.rows)?;
        }
        self.rows.clear();
        if self.mapping.format == Format::Azure {
            partial.lexicon.datasets.take(self.file, &self.evidence);
        }
        Ok(())
    }

    fn row(&mut self, cells: &impl Cells, at: At, lexicon: &mut Lexicon) -> Result<(), String> {
        let (mapping, needs) = (self.mapping, self.needs);
        let row = Row { mapping, cells };
        let start = match row.time(Field::Start)? {
            Some(start) => start,
            None => row.time(Field::BillStart)?.ok_or_else(|| format!("{} is null", row.name(Field::Start)))?,
        };
        let end = if needs.spread == Spread::Days { row.time(Field::End)?.or(Some(start)) } else { None };
        if sensible(start) && !needs.wants(start, end) {
            return Ok(());
        }
        let renamed = |problem: String| {
            let problem = problem.replace("ChargePeriodStart", row.name(Field::Start));
            problem.replace("ChargePeriodEnd", row.name(Field::End))
        };
        let (day, days) = period(start, end).map_err(renamed)?;
        self.charges.clear();
        match mapping.format {
            Format::Cur => self.charges.extend(cur::charge(&row)?),
            Format::Azure => {
                let (charge, evidence) = azure_cost::charge(&row)?;
                self.charges.push(charge);
                self.evidence.add(evidence, at);
            }
            Format::Gcp => gcp_usage::charges(&row, &mut self.charges)?,
            Format::Focus => {}
        }
        self.names.clear();
        let provider = mapping.format.layout().map_or("", |layout| layout.provider);
        for (key, origins) in &mapping.keys {
            let mut name: Cow<'_, [u8]> = Cow::Borrowed(b"");
            for origin in origins {
                name = match origin {
                    Origin::Column(place) => cells.text(*place),
                    Origin::Entry(place, entry) => cells.entry(*place, entry),
                };
                if !name.is_empty() {
                    break;
                }
            }
            if *key == Key::Provider {
                name = Cow::Borrowed(provider.as_bytes());
            }
            if mapping.format == Format::Azure {
                name = azure_cost::named(*key, name);
            }
            self.names.push(lexicon.name(*key, &name)?);
        }
        let written = row.text(Field::Currency);
        if self.currency.1 == 0 || self.currency.0 != *written {
            if written.is_empty() {
                return Err(format!("no {}", row.name(Field::Currency)));
            }
            let number = lexicon.word(Word::Currency, &written)?;
            self.currency = (written.to_vec(), number);
            lexicon.currency(number, self.place(at), &needs.rates);
        }
        let converter = needs.converter(lexicon, self.currency.1);
        if let Some(converter) = &converter {
            // What no rate holds for is left out before any of it is taken.
            converter.convert(day, [])?;
        }
        for charge in &self.charges {
            self.rows.day.push(day);
            if needs.spread == Spread::Days {
                self.rows.days.push(days);
            }
            if needs.lanes {
                self.rows.lane.push(charge.lane);
            }
            for cost in &needs.amounts {
                let mut units = charge.amount(*cost);
                if let Some(converter) = converter.as_ref().filter(|_| cost.is_money()) {
                    converter.convert(day, [&mut units])?;
                }
                self.rows.amounts[*cost as usize].push(units);
            }
            for ((key, _), number) in mapping.keys.iter().zip(&self.names) {
                self.rows.names[*key as usize].push(*number);
            }
        }
        Ok(())
    }
}
