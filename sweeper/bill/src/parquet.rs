//! Reads a row group of a Parquet file into rows: only the columns that are needed, dictionaries as dictionaries.

use crate::{
    columns::{Columns, Use},
    exact,
    names::Print,
    native::{Format, Taker},
    nested::Nested,
    partial::Partial,
    request::{Key, Spread},
    row::{
        At, Cost, DAY_MILLIS, Flaw, Lexicon, Needs, Place, Rows, Word, canonical, cleaned, fit, instant, is_null,
        period, sensible, shortened,
    },
    source::{Opened, Source, Stamp},
};
use ::parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    basic::Encoding,
    file::{metadata::ColumnChunkMetaData, statistics::Statistics},
};
use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray,
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

const BATCH: usize = 16_384;
/// Not a time: null.
const NULL: i64 = i64::MIN;
/// A dictionary entry that no row has used yet, and one that cannot be used.
const UNMET: u32 = u32::MAX;
const UNFIT: u32 = u32::MAX - 1;

/// What a file is, and by what it is read.
enum Shape {
    /// What each column is read for; places are those of the top columns.
    Focus(Columns),
    Native(Box<Nested>),
}

/// A file whose footer was read.
pub(crate) struct File {
    source: Arc<Source>,
    stamp: Stamp,
    metadata: ArrowReaderMetadata,
    shape: Shape,
    /// The leaf of the physical schema that each top column is; none where it is nested.
    leaves: Vec<Option<usize>>,
}

impl File {
    /// Reads the footer.
    pub(crate) fn open(source: Arc<Source>, opened: &Opened, needs: &Needs) -> Result<Self, String> {
        // What Arrow's own writer says of its types beside the schema is of no use here.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(opened, options)
            .map_err(|error| format!("its footer cannot be read, the file is cut off or no Parquet: {error}"))?;
        let fields = metadata.schema().fields();
        let nested = Nested::paths(fields);
        let format = Format::of(nested.iter().map(|(name, _)| name.as_str()));
        let schema = metadata.parquet_schema();
        let mut leaves = vec![None; fields.len()];
        for leaf in 0..schema.num_columns() {
            if schema.column(leaf).path().parts().len() == 1 {
                leaves[schema.get_column_root_idx(leaf)] = Some(leaf);
            }
        }
        if format != Format::Focus {
            let shape = Shape::Native(Box::new(Nested::find(format, needs, fields, nested)?));
            return Ok(Self { source, stamp: opened.stamp, metadata, shape, leaves });
        }
        let columns = Columns::find(needs, fields.iter().map(|field| field.name().as_str()))?;
        for (wanted, place) in &columns.read {
            let kind = fields[*place].data_type();
            if leaves[*place].is_none() || !understood(*wanted, kind) {
                return Err(format!("its column {} is of the type {kind}, which is not understood", wanted.name()));
            }
        }
        Ok(Self { source, stamp: opened.stamp, metadata, shape: Shape::Focus(columns), leaves })
    }

    /// The top column that holds a time.
    fn time(&self, wanted: Use) -> Option<usize> {
        match &self.shape {
            Shape::Focus(columns) => columns.place(wanted),
            Shape::Native(nested) => nested.time(wanted),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.source.name
    }

    /// The row groups that may have a charge of the days that are asked for.
    pub(crate) fn groups(&self, needs: &Needs) -> Vec<usize> {
        (0..self.metadata.metadata().num_row_groups()).filter(|group| self.may_matter(*group, needs)).collect()
    }

    /// Judged by the statistics; where they are missing, or say that there is a row to complain of, it may.
    fn may_matter(&self, group: usize, needs: &Needs) -> bool {
        let Some((first, last)) = self.range(group, Use::Start) else { return true };
        if !sensible(first) || !sensible(last) {
            return true;
        }
        let end = match needs.spread {
            Spread::Start => None,
            Spread::Days => match self.range(group, Use::End) {
                Some((_, end)) => Some(end),
                // Days of Azure have no end.
                None if self.time(Use::End).is_none() => None,
                None => return true,
            },
        };
        let to = i64::from(needs.end) * DAY_MILLIS;
        first < to && needs.wants(last.min(to - 1), end)
    }

    /// The smallest and largest time of a column, in milliseconds.
    fn range(&self, group: usize, wanted: Use) -> Option<(i64, i64)> {
        let place = self.time(wanted)?;
        let chunk = self.metadata.metadata().row_group(group).column(self.leaves[place]?);
        let statistics = chunk.statistics()?;
        if statistics.null_count_opt().unwrap_or(0) > 0 {
            return None;
        }
        let kind = self.metadata.schema().field(place).data_type();
        let (smallest, largest) = match statistics {
            Statistics::Int64(values) => (*values.min_opt()?, *values.max_opt()?),
            Statistics::Int32(values) => (i64::from(*values.min_opt()?), i64::from(*values.max_opt()?)),
            _ => return None,
        };
        Some((in_millis(smallest, kind)?, in_millis(largest, kind)?))
    }

    /// Adds the charges of a row group.
    pub(crate) fn read(&self, group: usize, needs: &Needs, partial: &mut Partial) -> Result<(), String> {
        let mut opened = self.source.open().map_err(|error| error.to_string())?;
        if opened.stamp != self.stamp {
            return Err("it changed while it was read".to_owned());
        }
        let columns = match &self.shape {
            Shape::Focus(columns) => columns,
            Shape::Native(nested) => return self.read_native(nested, opened, group, needs, partial),
        };
        let metadata = self.metadata.metadata();
        self.keep(&mut opened, group, columns.read.iter().filter_map(|(_, place)| self.leaves[*place]))?;
        let mut fields: Vec<Arc<Field>> = self.metadata.schema().fields().iter().cloned().collect();
        for (wanted, place) in &columns.read {
            if matches!(wanted, Use::Word(_) | Use::Key(_)) {
                let kind = match self.leaves[*place] {
                    Some(leaf) if is_dictionary(*wanted, metadata.row_group(group).column(leaf)) => {
                        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                    }
                    _ => DataType::Utf8View,
                };
                fields[*place] = Arc::new(fields[*place].as_ref().clone().with_data_type(kind));
            }
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let hinted = ArrowReaderMetadata::try_new(Arc::clone(metadata), options).map_err(|error| broken(&error))?;
        let leaves = columns.read.iter().filter_map(|(_, place)| self.leaves[*place]);
        let mask = ProjectionMask::leaves(hinted.parquet_schema(), leaves);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, hinted)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| broken(&error))?;
        // Projection keeps the order of the file's columns.
        let mut places: Vec<usize> = columns.read.iter().map(|(_, place)| *place).collect();
        places.sort_unstable();
        let order = columns.read.iter().map(|(wanted, place)| (*wanted, places.partition_point(|other| other < place)));
        let mut batches = Batches {
            needs,
            file: &self.source.name,
            group: group as u32,
            columns: order.collect(),
            scratch: Scratch::default(),
            rows: Rows::default(),
        };
        let mut row = 0;
        for batch in reader {
            let batch = batch.map_err(|error| broken(&error))?;
            batches.add(&batch, row, partial)?;
            row += batch.num_rows() as u64;
        }
        self.whole(group, row)
    }

    /// Fetches the chunks of some leaves of a row group at once, where fetching is slow.
    fn keep(&self, opened: &mut Opened, group: usize, leaves: impl Iterator<Item = usize>) -> Result<(), String> {
        let group = self.metadata.metadata().row_group(group);
        let chunks: Vec<Range<u64>> = leaves
            .map(|leaf| {
                let (start, length) = group.column(leaf).byte_range();
                start..start.saturating_add(length)
            })
            .collect();
        opened.keep(&chunks).map_err(|error| error.to_string())
    }

    /// The same of a native export.
    fn read_native(
        &self,
        nested: &Nested,
        mut opened: Opened,
        group: usize,
        needs: &Needs,
        partial: &mut Partial,
    ) -> Result<(), String> {
        let schema = self.metadata.parquet_schema();
        let tops = nested.tops();
        let leaves = (0..schema.num_columns()).filter(|leaf| tops.contains(&schema.get_column_root_idx(*leaf)));
        self.keep(&mut opened, group, leaves)?;
        let mask = ProjectionMask::roots(schema, tops.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| broken(&error))?;
        let mut taker = Taker::new(&nested.mapping, needs, &self.source.name);
        let mut row = 0;
        for batch in reader {
            let batch = batch.map_err(|error| broken(&error))?;
            let cells = nested.cells(&batch)?;
            for index in 0..batch.num_rows() {
                taker.take(&cells.row(index), At::Row(group as u32, row), partial)?;
                row += 1;
            }
        }
        taker.hand_on(partial)?;
        self.whole(group, row)
    }

    /// Whether all rows of a row group were read.
    fn whole(&self, group: usize, row: u64) -> Result<(), String> {
        let expected = self.metadata.metadata().row_group(group).num_rows();
        if i64::try_from(row) != Ok(expected) {
            return Err(format!("it has {row} rows, its footer says {expected}"));
        }
        Ok(())
    }
}

#[cold]
fn broken(error: &dyn std::fmt::Display) -> String {
    format!("it cannot be read, the file is cut off or broken: {error}")
}

/// Whether all of a column's pages hold numbers of dictionary entries.
fn is_dictionary(wanted: Use, chunk: &ColumnChunkMetaData) -> bool {
    let is = |encoding: Encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    if let Some(mask) = chunk.page_encoding_stats_mask() {
        return mask.encodings().all(is);
    }
    if let Some(pages) = chunk.page_encoding_stats() {
        return pages
            .iter()
            .all(|page| page.page_type == ::parquet::basic::PageType::DICTIONARY_PAGE || is(page.encoding));
    }
    // Not told. Only ids of resources are so many that writers give dictionaries up.
    !matches!(wanted, Use::Key(Key::Resource | Key::ResourceName)) && chunk.dictionary_page_offset().is_some()
}

fn understood(wanted: Use, kind: &DataType) -> bool {
    match wanted {
        Use::Start | Use::End => matches!(kind, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Utf8),
        Use::Cost(_) => matches!(
            kind,
            DataType::Float64
                | DataType::Float32
                | DataType::Decimal128(_, _)
                | DataType::Int64
                | DataType::Int32
                | DataType::Utf8
        ),
        Use::Word(_) | Use::Key(_) => matches!(kind, DataType::Utf8 | DataType::Binary),
    }
}

fn in_millis(value: i64, kind: &DataType) -> Option<i64> {
    match kind {
        DataType::Timestamp(TimeUnit::Second, _) => value.checked_mul(1000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(value),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(value.div_euclid(1000)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(value.div_euclid(1_000_000)),
        DataType::Date32 => value.checked_mul(DAY_MILLIS),
        _ => None,
    }
}

/// What is kept from batch to batch.
#[derive(Default)]
struct Scratch {
    start: Vec<i64>,
    end: Vec<i64>,
    /// Rows of the batch that may matter.
    picked: Vec<u32>,
    prints: Vec<Print>,
    numbers: [Vec<u32>; 4],
    /// By column: the dictionary met last, and our numbers of its entries.
    dictionaries: BTreeMap<usize, (ArrayRef, Vec<u32>)>,
}

struct Batches<'a> {
    needs: &'a Needs,
    file: &'a str,
    group: u32,
    columns: Vec<(Use, usize)>,
    scratch: Scratch,
    rows: Rows,
}

/// Rows of a batch that cannot be counted, and why.
type Bad = BTreeMap<u32, String>;

impl Batches<'_> {
    fn add(&mut self, batch: &RecordBatch, before: u64, partial: &mut Partial) -> Result<(), String> {
        let mut bad = self.pick(batch)?;
        loop {
            for (row, problem) in std::mem::take(&mut bad) {
                let place = Place { file: self.file.to_owned(), at: At::Row(self.group, before + u64::from(row)) };
                partial.excluded.add(Flaw { place, problem });
            }
            if self.scratch.picked.is_empty() {
                return Ok(());
            }
            bad = self.fill(batch, before, &mut partial.lexicon)?;
            if bad.is_empty() {
                return partial.add(&self.rows);
            }
            // Once more, without them.
            self.scratch.picked.retain(|row| !bad.contains_key(row));
        }
    }

    /// Finds the rows that may matter.
    fn pick(&mut self, batch: &RecordBatch) -> Result<Bad, String> {
        let Scratch { start, end, picked, .. } = &mut self.scratch;
        let mut bad = Bad::new();
        picked.clear();
        end.clear();
        times(column(&self.columns, batch, Use::Start)?, start, &mut bad, Use::Start)?;
        if self.needs.spread == Spread::Days {
            times(column(&self.columns, batch, Use::End)?, end, &mut bad, Use::End)?;
        }
        let (from, to) = (i64::from(self.needs.first) * DAY_MILLIS, i64::from(self.needs.end) * DAY_MILLIS);
        for (row, at) in start.iter().enumerate() {
            let until = end.get(row).copied();
            if (from..to).contains(at) && until != Some(NULL) {
                picked.push(row as u32);
            } else if !sensible(*at) || until == Some(NULL) {
                let problem = match period(*at, until) {
                    _ if *at == NULL => "ChargePeriodStart is null".to_owned(),
                    _ if until == Some(NULL) => "ChargePeriodEnd is null".to_owned(),
                    Err(problem) => problem,
                    Ok(_) => continue,
                };
                bad.entry(row as u32).or_insert(problem);
            } else if self.needs.wants(*at, until) {
                picked.push(row as u32);
            }
        }
        if !bad.is_empty() {
            picked.retain(|row| !bad.contains_key(row));
        }
        Ok(bad)
    }

    /// Makes rows of those that were picked. When any of them is bad, the rows are good for nothing.
    fn fill(&mut self, batch: &RecordBatch, before: u64, lexicon: &mut Lexicon) -> Result<Bad, String> {
        let (mut bad, rows) = (Bad::new(), &mut self.rows);
        let Scratch { start, end, picked, prints, numbers, dictionaries } = &mut self.scratch;
        rows.clear();
        if end.is_empty() {
            rows.day.extend(picked.iter().map(|row| start[*row as usize].div_euclid(DAY_MILLIS) as i32));
        } else {
            for row in picked.iter() {
                match period(start[*row as usize], Some(end[*row as usize])) {
                    Ok((day, days)) => {
                        rows.day.push(day);
                        rows.days.push(days);
                    }
                    Err(problem) => drop(bad.insert(*row, problem)),
                }
            }
        }
        for (index, (wanted, place)) in self.columns.iter().enumerate() {
            let array = batch.column(*place);
            match wanted {
                Use::Start | Use::End => {}
                Use::Cost(cost) => amounts(*cost, array, picked, &mut rows.amounts[*cost as usize], &mut bad)?,
                Use::Word(word) => {
                    let out = &mut numbers[*word as usize];
                    out.clear();
                    let known = dictionary(dictionaries, index, array);
                    words(*word, array, known, picked, lexicon, out, &mut bad)?;
                }
                Use::Key(key) => {
                    let out = &mut rows.names[*key as usize];
                    let known = dictionary(dictionaries, index, array);
                    names(*key, array, known, picked, prints, lexicon, out, &mut bad)?;
                }
            }
        }
        if !bad.is_empty() {
            return Ok(bad);
        }
        let mut last = 0;
        for (row, number) in picked.iter().zip(&numbers[Word::Currency as usize]) {
            if *number == 0 {
                bad.insert(*row, "no BillingCurrency".to_owned());
            } else if *number != last {
                last = *number;
                let at = At::Row(self.group, before + u64::from(*row));
                lexicon.currency(last, Place { file: self.file.to_owned(), at }, &self.needs.rates);
            }
        }
        if self.needs.lanes {
            let absent = |word: Word| numbers[word as usize].is_empty();
            let status = !absent(Word::Status);
            for (index, row) in picked.iter().enumerate() {
                let (category, class) = (numbers[Word::Category as usize][index], numbers[Word::Class as usize][index]);
                let status = if status { numbers[Word::Status as usize][index] } else { 0 };
                match lexicon.lane(category, class, status) {
                    Ok(lane) => rows.lane.push(lane),
                    Err(problem) => drop(bad.entry(*row).or_insert(problem)),
                }
            }
            if bad.is_empty() {
                rows.finish();
            }
        }
        if bad.is_empty() && !self.needs.rates.is_empty() {
            for (index, row) in picked.iter().enumerate() {
                let number = numbers[Word::Currency as usize][index];
                let Some(converter) = self.needs.converter(lexicon, number) else { continue };
                let money = Cost::ALL.iter().zip(&mut rows.amounts).filter(|(cost, _)| cost.is_money());
                let money = money.filter_map(|(_, amounts)| amounts.get_mut(index));
                if let Err(problem) = converter.convert(rows.day[index], money) {
                    bad.insert(*row, problem);
                }
            }
        }
        // A key that the file has no column for is null in all rows.
        for key in &self.needs.keys {
            rows.names[*key as usize].resize(picked.len(), 0);
        }
        Ok(bad)
    }
}

fn column<'a>(columns: &[(Use, usize)], batch: &'a RecordBatch, wanted: Use) -> Result<&'a ArrayRef, String> {
    let place = columns.iter().find(|(what, _)| *what == wanted).map(|(_, place)| *place);
    let missing = || format!("its column {} is missing from a batch", wanted.name());
    place.filter(|place| *place < batch.num_columns()).map(|place| batch.column(place)).ok_or_else(missing)
}

/// Times in milliseconds since 1970.
fn times(array: &ArrayRef, out: &mut Vec<i64>, bad: &mut Bad, wanted: Use) -> Result<(), String> {
    out.clear();
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            out.extend_from_slice(array.as_primitive::<TimestampMillisecondType>().values());
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            let values = array.as_primitive::<TimestampSecondType>().values();
            out.extend(values.iter().map(|value| value.saturating_mul(1000)));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            out.extend(values.iter().map(|value| value.div_euclid(1000)));
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>().values();
            out.extend(values.iter().map(|value| value.div_euclid(1_000_000)));
        }
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>().values();
            out.extend(values.iter().map(|value| i64::from(*value) * DAY_MILLIS));
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            for (row, text) in values.iter().enumerate() {
                let text = text.unwrap_or_default();
                out.push(match instant(text.as_bytes()) {
                    Some(at) => at,
                    None if is_null(text.as_bytes()) => NULL,
                    None => {
                        bad.insert(row as u32, format!("{} is not a time: `{}`", wanted.name(), shortened(text)));
                        NULL
                    }
                });
            }
        }
        other => return Err(format!("its column {} came as {other}", wanted.name())),
    }
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (row, at) in out.iter_mut().enumerate() {
            if nulls.is_null(row) {
                *at = NULL;
            }
        }
    }
    Ok(())
}

/// Exact amounts of the rows that were picked.
fn amounts(cost: Cost, array: &ArrayRef, picked: &[u32], out: &mut Vec<i128>, bad: &mut Bad) -> Result<(), String> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    if let (Some(values), None) = (array.as_primitive_opt::<Float64Type>(), nulls) {
        // The bulk of every bill.
        let (values, before, mut whole) = (values.values(), out.len(), true);
        out.extend(picked.iter().map(|row| {
            exact::of_double(values[*row as usize]).unwrap_or_else(|| {
                whole = false;
                0
            })
        }));
        if whole {
            return Ok(());
        }
        out.truncate(before);
    }
    let mut each = |units: &dyn Fn(usize) -> Option<i128>, text: &dyn Fn(usize) -> String| {
        for row in picked {
            let index = *row as usize;
            let units = if nulls.is_some_and(|nulls| nulls.is_null(index)) { cost.null() } else { units(index) };
            out.push(units.unwrap_or_else(|| {
                let null = nulls.is_some_and(|nulls| nulls.is_null(index));
                let shown = if null { "null".to_owned() } else { shortened(&text(index)) };
                bad.insert(*row, format!("{} is not an amount: `{shown}`", cost.column()));
                0
            }));
        }
    };
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            each(&|row| exact::of_double(values[row]), &|row| values[row].to_string());
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            each(&|row| exact::of_float(values[row]), &|row| values[row].to_string());
        }
        DataType::Decimal128(_, scale) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            each(&|row| exact::of_decimal(values[row], *scale), &|row| values[row].to_string());
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            each(&|row| exact::of_decimal(i128::from(values[row]), 0), &|row| values[row].to_string());
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            each(&|row| exact::of_decimal(i128::from(values[row]), 0), &|row| values[row].to_string());
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            let units = |row: usize| match values.value(row).trim().as_bytes() {
                text if is_null(text) => cost.null(),
                text => exact::of_text(text),
            };
            each(&units, &|row| values.value(row).to_owned());
        }
        other => return Err(format!("its column {} came as {other}", cost.column())),
    }
    Ok(())
}

/// Our numbers of the entries of a column's dictionary; kept while the dictionary stays the same.
fn dictionary<'a>(
    dictionaries: &'a mut BTreeMap<usize, (ArrayRef, Vec<u32>)>,
    index: usize,
    array: &ArrayRef,
) -> Option<&'a mut Vec<u32>> {
    let values = array.as_dictionary_opt::<Int32Type>()?.values();
    let same = |held: &ArrayRef| {
        match (held.as_string_opt::<i32>(), values.as_string_opt::<i32>()) {
            // Held, so that its place in memory cannot have become another's.
            (Some(held), Some(values)) => {
                held.len() == values.len()
                    && held.value_data().as_ptr() == values.value_data().as_ptr()
                    && held.value_offsets().as_ptr() == values.value_offsets().as_ptr()
            }
            _ => false,
        }
    };
    if !dictionaries.get(&index).is_some_and(|(held, _)| same(held)) {
        dictionaries.insert(index, (Arc::clone(values), vec![UNMET; values.len()]));
    }
    dictionaries.get_mut(&index).map(|(_, known)| known)
}

/// Goes over a dictionary array by our numbers of its entries; `number` is asked once an entry.
fn by_dictionary(
    array: &ArrayRef,
    known: &mut [u32],
    picked: &[u32],
    out: &mut Vec<u32>,
    bad: &mut Bad,
    mut number: impl FnMut(&[u8]) -> Result<u32, String>,
) -> Result<(), String> {
    let odd = || "a dictionary of another type than was asked for".to_owned();
    let array = array.as_dictionary_opt::<Int32Type>().ok_or_else(odd)?;
    let values: &StringArray = array.values().as_string_opt::<i32>().ok_or_else(odd)?;
    let codes = array.keys().values();
    let nulls = array.keys().nulls().filter(|nulls| nulls.null_count() > 0);
    for row in picked {
        if nulls.is_some_and(|nulls| nulls.is_null(*row as usize)) {
            out.push(0);
            continue;
        }
        let code = codes[*row as usize] as usize;
        let mut found = known[code];
        if found >= UNFIT {
            match number(values.value(code).as_bytes()) {
                Ok(met) => found = met,
                Err(problem) => {
                    bad.insert(*row, problem);
                    found = 0;
                    known[code] = UNFIT;
                    out.push(found);
                    continue;
                }
            }
            known[code] = found;
        }
        out.push(found);
    }
    Ok(())
}

fn words(
    word: Word,
    array: &ArrayRef,
    known: Option<&mut Vec<u32>>,
    picked: &[u32],
    lexicon: &mut Lexicon,
    out: &mut Vec<u32>,
    bad: &mut Bad,
) -> Result<(), String> {
    if let Some(known) = known {
        return by_dictionary(array, known, picked, out, bad, |text| lexicon.word(word, cleaned(text)));
    }
    let array = array.as_string_view_opt().ok_or_else(|| format!("its column {} came as no text", word.column()))?;
    for row in picked {
        let index = *row as usize;
        let text = if array.is_null(index) { "" } else { array.value(index) };
        out.push(lexicon.word(word, cleaned(text.as_bytes())).unwrap_or_else(|problem| {
            bad.insert(*row, problem);
            0
        }));
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the parts of one batch, each borrowed by itself")]
fn names(
    key: Key,
    array: &ArrayRef,
    known: Option<&mut Vec<u32>>,
    picked: &[u32],
    prints: &mut Vec<Print>,
    lexicon: &mut Lexicon,
    out: &mut Vec<u32>,
    bad: &mut Bad,
) -> Result<(), String> {
    let column = key.columns().first().copied().unwrap_or_default();
    if let Some(known) = known {
        return by_dictionary(array, known, picked, out, bad, |text| lexicon.name(key, text));
    }
    let array = array.as_string_view_opt().ok_or_else(|| format!("its column {column} came as no text"))?;
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let value = |row: u32| -> &[u8] {
        match nulls {
            Some(nulls) if nulls.is_null(row as usize) => b"",
            _ => array.value(row as usize).as_bytes(),
        }
    };
    prints.clear();
    for row in picked {
        let name = value(*row);
        if let Err(problem) = fit(column, name) {
            bad.insert(*row, problem);
        }
        prints.push(lexicon.print(key, name));
    }
    if bad.is_empty() {
        lexicon.keys[key as usize].numbers(prints, out, |index| canonical(key, value(picked[index])));
    }
    Ok(())
}
