//! The columns of a native export in Parquet: some lie within others, lists and maps among them.

use crate::{
    columns::Use,
    exact,
    native::{Cells, Content, Field, Format, Mapping, credits_in, entry_of, instant_of},
    row::{DAY_MILLIS, Needs, cleaned, shortened},
};
use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray,
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
};
use arrow_schema::{DataType, Fields, TimeUnit};
use std::borrow::Cow;

/// A column: the top one, and those within it that lead to it.
type Path = Vec<usize>;

/// Where in a file what is needed lies.
pub(crate) struct Nested {
    pub(crate) mapping: Mapping,
    /// By place in the mapping.
    paths: Vec<Path>,
    /// The name of each place.
    names: Vec<String>,
}

impl Nested {
    /// All columns by name; those of a record by its name and theirs too.
    pub(crate) fn paths(fields: &Fields) -> Vec<(String, Path)> {
        let mut paths = Vec::new();
        for (top, field) in fields.iter().enumerate() {
            paths.push((field.name().clone(), vec![top]));
            if let DataType::Struct(inner) = field.data_type() {
                let inner = inner.iter().enumerate();
                paths.extend(inner.map(|(at, within)| (format!("{}.{}", field.name(), within.name()), vec![top, at])));
            }
        }
        paths
    }

    /// Finds what is needed.
    pub(crate) fn find(
        format: Format,
        needs: &Needs,
        fields: &Fields,
        paths: Vec<(String, Path)>,
    ) -> Result<Self, String> {
        let (names, paths): (Vec<String>, Vec<Path>) = paths.into_iter().unzip();
        let mapping = Mapping::find(format, needs, names.clone())?;
        for (place, content) in &mapping.read {
            let path = &paths[*place];
            let top = path.first().and_then(|top| fields.get(*top)).map(|field| field.data_type());
            let kind = path.iter().skip(1).fold(top, |kind, within| match kind {
                Some(DataType::Struct(inner)) => inner.get(*within).map(|field| field.data_type()),
                _ => None,
            });
            let Some(kind) = kind else { continue };
            if !understood(*content, kind) {
                return Err(format!("its column {} is of the type {kind}, which is not understood", names[*place]));
            }
        }
        Ok(Self { mapping, paths, names })
    }

    /// The top columns that are read.
    pub(crate) fn tops(&self) -> Vec<usize> {
        let mut tops: Vec<usize> =
            self.mapping.read.iter().filter_map(|(place, _)| self.paths[*place].first().copied()).collect();
        tops.sort_unstable();
        tops.dedup();
        tops
    }

    /// The top column that holds a time.
    pub(crate) fn time(&self, wanted: Use) -> Option<usize> {
        let field = match wanted {
            Use::Start => Field::Start,
            Use::End => Field::End,
            _ => return None,
        };
        match self.paths[self.mapping.place(field)?].as_slice() {
            [top] => Some(*top),
            _ => None,
        }
    }

    /// The columns of a batch.
    pub(crate) fn cells(&self, batch: &RecordBatch) -> Result<Columns, String> {
        let tops = self.tops();
        let mut arrays = vec![None; self.paths.len()];
        for (place, _) in &self.mapping.read {
            let missing = || format!("its column {} is missing from a batch", self.names[*place]);
            let (top, within) = self.paths[*place].split_first().ok_or_else(missing)?;
            let mut array = batch.columns().get(tops.partition_point(|other| other < top)).ok_or_else(missing)?;
            for at in within {
                array = array.as_struct_opt().and_then(|array| array.columns().get(*at)).ok_or_else(missing)?;
            }
            arrays[*place] = Some(ArrayRef::clone(array));
        }
        Ok(Columns { arrays })
    }
}

fn understood(content: Content, kind: &DataType) -> bool {
    let text = matches!(kind, DataType::Utf8);
    match content {
        Content::Time => text || matches!(kind, DataType::Timestamp(_, _) | DataType::Date32),
        Content::Text => text || matches!(kind, DataType::Binary | DataType::Int64 | DataType::Int32 | DataType::Null),
        Content::Amount => {
            text || matches!(
                kind,
                DataType::Float64 | DataType::Float32 | DataType::Decimal128(_, _) | DataType::Int64 | DataType::Int32
            )
        }
        Content::Map => text || matches!(kind, DataType::Map(_, _)),
        Content::Credits => {
            let amount = |kind: &DataType| match kind {
                DataType::Struct(inner) => {
                    inner.iter().any(|field| field.name() == "amount" && understood(Content::Amount, field.data_type()))
                }
                _ => false,
            };
            text || matches!(kind, DataType::List(inner) if amount(inner.data_type()))
        }
    }
}

/// The columns of a batch, by place.
pub(crate) struct Columns {
    arrays: Vec<Option<ArrayRef>>,
}

impl Columns {
    pub(crate) fn row(&self, row: usize) -> Cell<'_> {
        Cell { columns: self, row }
    }
}

/// A row of a batch.
pub(crate) struct Cell<'a> {
    columns: &'a Columns,
    row: usize,
}

impl Cell<'_> {
    /// The column, unless the row has a null in it.
    fn array(&self, place: usize) -> Option<&ArrayRef> {
        self.columns.arrays.get(place)?.as_ref().filter(|array| !array.is_null(self.row))
    }
}

/// The units of an amount; none where it cannot be one.
fn units(array: &ArrayRef, row: usize) -> Option<i128> {
    match array.data_type() {
        DataType::Float64 => exact::of_double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => exact::of_float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Decimal128(_, scale) => exact::of_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Int64 => exact::of_decimal(i128::from(array.as_primitive::<Int64Type>().value(row)), 0),
        DataType::Int32 => exact::of_decimal(i128::from(array.as_primitive::<Int32Type>().value(row)), 0),
        _ => exact::of_text(cleaned(string(array)?.value(row).as_bytes())),
    }
}

fn string(array: &ArrayRef) -> Option<&StringArray> {
    array.as_string_opt::<i32>()
}

/// What stands there, to be shown.
fn shown(array: &ArrayRef, row: usize) -> String {
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        _ => string(array).map_or_else(String::new, |array| array.value(row).to_owned()),
    }
}

impl Cells for Cell<'_> {
    fn text(&self, place: usize) -> Cow<'_, [u8]> {
        let Some(array) = self.array(place) else { return Cow::Borrowed(b"") };
        match (string(array), array.as_binary_opt::<i32>()) {
            (Some(array), _) => Cow::Borrowed(cleaned(array.value(self.row).as_bytes())),
            (None, Some(array)) => Cow::Borrowed(cleaned(array.value(self.row))),
            (None, None) => Cow::Owned(shown(array, self.row).into_bytes()),
        }
    }

    fn amount(&self, place: usize) -> Result<Option<i128>, String> {
        match self.array(place) {
            Some(array) if string(array).is_some_and(|text| cleaned(text.value(self.row).as_bytes()).is_empty()) => {
                Ok(None)
            }
            Some(array) => units(array, self.row).map(Some).ok_or_else(|| shown(array, self.row)),
            None => Ok(None),
        }
    }

    fn time(&self, place: usize) -> Result<Option<i64>, String> {
        let (Some(array), row) = (self.array(place), self.row) else { return Ok(None) };
        Ok(Some(match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                array.as_primitive::<TimestampMillisecondType>().value(row)
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000)
            }
            DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(row)) * DAY_MILLIS,
            _ => match &*self.text(place) {
                b"" => return Ok(None),
                text => instant_of(text).ok_or_else(|| String::from_utf8_lossy(text).into_owned())?,
            },
        }))
    }

    fn entry(&self, place: usize, key: &str) -> Cow<'_, [u8]> {
        let found = self.array(place).and_then(|array| {
            let map = array.as_map_opt()?;
            let (keys, values) = (string(map.keys())?, string(map.values())?);
            let offsets = map.value_offsets();
            let (from, to) = (offsets[self.row] as usize, offsets[self.row + 1] as usize);
            let at = (from..to).find(|at| keys.value(*at) == key && !values.is_null(*at))?;
            Some(cleaned(values.value(at).as_bytes()))
        });
        match (found, self.array(place).and_then(string)) {
            (Some(found), _) => Cow::Borrowed(found),
            (None, Some(text)) => Cow::Owned(entry_of(text.value(self.row).as_bytes(), key)),
            (None, None) => Cow::Borrowed(b""),
        }
    }

    fn credits(&self, place: usize) -> Result<Vec<(String, i128)>, String> {
        let Some(array) = self.array(place) else { return Ok(Vec::new()) };
        if let Some(text) = string(array) {
            return credits_in(text.value(self.row).as_bytes());
        }
        let odd = || "is no list of credits".to_owned();
        let list = array.as_list_opt::<i32>().ok_or_else(odd)?;
        let credits = list.values().as_struct_opt().ok_or_else(odd)?;
        let amounts = credits.column_by_name("amount").ok_or_else(odd)?;
        let kinds = credits.column_by_name("type").and_then(string);
        let offsets = list.value_offsets();
        let mut out = Vec::new();
        for at in offsets[self.row] as usize..offsets[self.row + 1] as usize {
            if amounts.is_null(at) {
                return Err("has a credit without an amount".to_owned());
            }
            let wrong = || format!("has an amount that is none: `{}`", shortened(&shown(amounts, at)));
            let amount = units(amounts, at).ok_or_else(wrong)?;
            let kind = kinds.filter(|kinds| !kinds.is_null(at)).map_or("", |kinds| kinds.value(at));
            out.push((kind.to_owned(), amount));
        }
        Ok(out)
    }
}
