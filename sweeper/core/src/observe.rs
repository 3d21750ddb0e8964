//! One resource read again, and what of it is not as it was.

use crate::{
    deed::Target,
    facts::FactsRef,
    intern::Sym,
    inventory::{Inventory, Resource, ResourceIx},
    kind::{CloudError, Fault, KindSpec},
    model::Timestamp,
};
use serde::{Serialize, ser};
use std::{collections::BTreeMap, fmt};

/// What a resource looked like: field -> value, in words. Tags are `tag:<key>`.
pub type Fields = BTreeMap<String, String>;

/// Of facts: what says something of others rather than of the resource itself. Newer images do not change an old one.
const RELATIVE: &[&str] = &["rank"];

/// What was read of one resource, just now.
pub struct Observed {
    inventory: Inventory,
    at: Option<ResourceIx>,
}

impl Observed {
    /// Looks for the resource in what [`crate::kind::Kind::observe`] pushed. Not found where not all of it could be
    /// seen is an error, never "gone".
    pub fn of(inventory: Inventory, kind: &'static KindSpec, target: &Target) -> Result<Self, CloudError> {
        let named = |resource: &Resource<'_>| {
            let same = if resource.cloud().ignores_case() {
                resource.native_id().eq_ignore_ascii_case(&target.native_id)
            } else {
                resource.native_id() == target.native_id
            };
            same && (resource.region() == target.region || resource.uid() == target.uid)
        };
        let at = inventory.resources().find(named).map(Resource::ix);
        let whole = inventory.is_whole(kind, &target.scope());
        if at.is_none() && !whole {
            let op = kind.reads.first().copied().unwrap_or("its listing");
            return Err(CloudError::new(Fault::Malformed, op, "the answer does not say whether it is there"));
        }
        Ok(Self { inventory, at })
    }

    /// Whether the cloud says that it is not there.
    pub const fn is_gone(&self) -> bool {
        self.at.is_none()
    }

    pub fn resource(&self) -> Option<Resource<'_>> {
        self.at.map(|at| self.inventory.at(at))
    }
}

/// What a resource looks like. Everything that its listing tells of itself: identity, name, protection, manager,
/// tags where the listing has them, and facts.
pub fn fields(resource: Resource<'_>) -> Fields {
    let mut fields = Fields::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            fields.insert(key.to_owned(), value);
        }
    };
    add("uid", resource.uid().to_owned());
    add("name", resource.name().to_owned());
    add("created", resource.created().map(|at| at.to_string()).unwrap_or_default());
    add("managed_by", resource.managed_by().to_owned());
    add("protected", resource.protected().to_owned());
    let inventory = resource.inventory();
    match resource.listed_tags() {
        None => add("tags", "not listed".to_owned()),
        Some(tags) => {
            for (key, value) in tags {
                // A tag without a value is one, too.
                fields.insert(format!("tag:{}", inventory.text(*key)), inventory.text(*value).to_owned());
            }
        }
    }
    for (key, value) in facts(resource) {
        if !RELATIVE.contains(&key.as_str()) {
            fields.insert(key, value);
        }
    }
    for (relation, target) in resource.uses() {
        let key = format!("uses:{relation:?}:{target}");
        fields.insert(key, "yes".to_owned());
    }
    fields
}

/// The first field that is not as it was: its name, and both values. The identity comes first, so that a thing made
/// again under the same name is called that.
pub fn changed(before: &Fields, now: &Fields) -> Option<Change> {
    let differs = |key: &&String| before.get(*key) != now.get(*key);
    let first = ["uid", "created"].into_iter().find(|key| before.get(*key) != now.get(*key)).map(str::to_owned);
    let field = first.or_else(|| before.keys().chain(now.keys()).find(differs).cloned())?;
    let text = |fields: &Fields| fields.get(&field).cloned().unwrap_or_else(|| "nothing".to_owned());
    Some(Change { was: text(before), is: text(now), field })
}

/// A field that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub field: String,
    pub was: String,
    pub is: String,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} was {}, is {}", self.field, self.was, self.is)
    }
}

/// The facts of a resource as words, every field of them: one that is added later is compared as well.
fn facts(resource: Resource<'_>) -> Fields {
    macro_rules! flat {
        ($facts:expr, $($variant:ident)*) => {
            match $facts { $(FactsRef::$variant(facts) => facts.serialize(Flat { resource, key: String::new() }),)* }
        };
    }
    let flat = flat!(
        resource.facts(),
        Vm Disk Snapshot Image Registry Artifact Bucket Upload Function FunctionVersion Address Interface Gateway
        Endpoint LoadBalancer TargetGroup Plan Appliance SecurityGroup Cluster Database DbSnapshot RecoveryPoint
        LogGroup Referrer
    );
    // Facts are structs of plain values, so that this cannot fail; if it did, nothing would compare equal.
    flat.unwrap_or_else(|Odd(what)| Fields::from([("facts".to_owned(), format!("unreadable: {what}"))]))
}

/// Writes a struct of plain values as fields. Symbols are looked up.
struct Flat<'a> {
    resource: Resource<'a>,
    key: String,
}

#[derive(Debug)]
struct Odd(String);

impl fmt::Display for Odd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Odd {}

impl ser::Error for Odd {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Flat<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "a serializer's methods have this shape")]
    fn one(self, value: impl ToString) -> Result<Fields, Odd> {
        Ok(Fields::from([(self.key, value.to_string())]))
    }
}

macro_rules! plain {
    ($($name:ident $type:ty),* $(,)?) => {
        $(fn $name(self, value: $type) -> Result<Fields, Odd> { self.one(value) })*
    };
}

macro_rules! odd {
    ($($name:ident($($type:ty),*) -> $what:ty;)*) => {
        $(fn $name(self, $(_: $type),*) -> Result<$what, Odd> { Err(Odd(stringify!($name).to_owned())) })*
    };
}

impl<'a> ser::Serializer for Flat<'a> {
    type Ok = Fields;
    type Error = Odd;
    type SerializeSeq = ser::Impossible<Fields, Odd>;
    type SerializeTuple = ser::Impossible<Fields, Odd>;
    type SerializeTupleStruct = ser::Impossible<Fields, Odd>;
    type SerializeTupleVariant = ser::Impossible<Fields, Odd>;
    type SerializeMap = ser::Impossible<Fields, Odd>;
    type SerializeStruct = Struct<'a>;
    type SerializeStructVariant = ser::Impossible<Fields, Odd>;

    plain! {
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_f32 f32,
        serialize_f64 f64, serialize_char char, serialize_str &str,
    }

    odd! {
        serialize_bytes(&[u8]) -> Fields;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    /// What is not known is a value of its own.
    fn serialize_none(self) -> Result<Fields, Odd> {
        self.one("not known")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Fields, Odd> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Fields, Odd> {
        self.one("")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Fields, Odd> {
        self.one("")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Fields, Odd> {
        self.one(name)
    }

    /// A symbol is a number that means a text of its inventory; an instant is one that people read as a date.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Fields, Odd> {
        let inventory = self.resource.inventory();
        let mut fields = value.serialize(self)?;
        for text in fields.values_mut() {
            let read = match name {
                "Sym" => text.parse().ok().map(|number| inventory.text(Sym::at(number)).to_owned()),
                "Timestamp" => text.parse().ok().map(|number| Timestamp(number).to_string()),
                _ => None,
            };
            *text = read.unwrap_or_else(|| std::mem::take(text));
        }
        Ok(fields)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Fields, Odd> {
        value.serialize(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Struct<'a>, Odd> {
        Ok(Struct { resource: self.resource, fields: Fields::new() })
    }
}

struct Struct<'a> {
    resource: Resource<'a>,
    fields: Fields,
}

impl ser::SerializeStruct for Struct<'_> {
    type Ok = Fields;
    type Error = Odd;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Odd> {
        self.fields.extend(value.serialize(Flat { resource: self.resource, key: key.to_owned() })?);
        Ok(())
    }

    fn end(self) -> Result<Fields, Odd> {
        Ok(self.fields)
    }
}
