//! Reads lines of JSON, plain or gzip, one row a line: what BigQuery writes of the usage cost of Google Cloud.

use crate::{
    csv::{Refused, failed},
    gcp_usage::LAYOUT,
    native::{Cells, Format, Mapping, Taker, credits_of, spelled},
    partial::Partial,
    row::{At, Flaw, Needs, Place, cleaned},
};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeSet,
    io::{BufRead, Read},
};

const LONGEST_ROW: u64 = 16 << 20;

/// Adds the charges of a file.
pub(crate) fn read(file: &str, mut input: impl BufRead, needs: &Needs, partial: &mut Partial) -> Result<(), Refused> {
    // A row says nothing of columns that are null in it: each is looked for in every row.
    let mut seen = BTreeSet::new();
    let all = LAYOUT.fields.iter().map(|(_, names, _)| *names).chain(LAYOUT.keys.iter().map(|(_, names)| *names));
    let names: Vec<&str> = all.flatten().copied().filter(|name| seen.insert(*name)).collect();
    let mapping = Mapping::find(Format::Gcp, needs, names.iter().map(|name| (*name).to_owned()).collect())
        .map_err(|problem| (None, problem))?;
    let mut taker = Taker::new(&mapping, needs, file);
    let (mut text, mut line, mut told) = (Vec::new(), 0, false);
    loop {
        line += 1;
        text.clear();
        let at = At::Line(line);
        let length = input.by_ref().take(LONGEST_ROW).read_until(b'\n', &mut text);
        if length.map_err(failed(line))? == 0 {
            break;
        }
        if text.len() as u64 == LONGEST_ROW && !text.ends_with(b"\n") {
            return Err((Some(at), "a row that is longer than 16 MiB".to_owned()));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let row: Value = serde_json::from_slice(&text)
            .map_err(|error| (Some(at), format!("it is no line of JSON, or the file is cut off: {error}")))?;
        if !told {
            first(&row).map_err(|problem| (None, problem))?;
            told = true;
        }
        if row.is_object() {
            taker.take(&Object { row: &row, names: &names }, at, partial).map_err(|problem| (Some(at), problem))?;
        } else {
            let place = Place { file: file.to_owned(), at };
            partial.excluded.add(Flaw { place, problem: "a line that is no row".to_owned() });
        }
    }
    taker.hand_on(partial).map_err(|problem| (Some(At::Line(line)), problem))
}

/// Whether the first row is one of Google's: it has what is never null.
fn first(row: &Value) -> Result<(), String> {
    let mut names = Vec::new();
    for (name, value) in row.as_object().into_iter().flatten() {
        names.push(name.clone());
        names.extend(value.as_object().into_iter().flatten().map(|(inner, _)| format!("{name}.{inner}")));
    }
    if Format::of(names.iter().map(String::as_str)) != Format::Gcp {
        return Err("lines of JSON are read of Google Cloud's usage cost only, and this is something else".to_owned());
    }
    for wanted in ["usage_start_time", "cost", "currency"] {
        if !names.iter().any(|name| spelled(name) == wanted) {
            return Err(format!("this looks like {} but lacks `{wanted}`", LAYOUT.name));
        }
    }
    Ok(())
}

struct Object<'a> {
    row: &'a Value,
    /// By place.
    names: &'a [&'static str],
}

impl Object<'_> {
    fn value(&self, place: usize) -> Option<&Value> {
        let name = self.names[place];
        let nested = || name.split('.').try_fold(self.row, |value, part| value.get(part));
        self.row.get(name).or_else(nested)
    }
}

impl Cells for Object<'_> {
    fn text(&self, place: usize) -> Cow<'_, [u8]> {
        match self.value(place) {
            Some(Value::String(text)) => Cow::Borrowed(cleaned(text.as_bytes())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Cow::Owned(value.to_string().into_bytes()),
            _ => Cow::Borrowed(b""),
        }
    }

    fn credits(&self, place: usize) -> Result<Vec<(String, i128)>, String> {
        self.value(place).map_or(Ok(Vec::new()), credits_of)
    }
}
