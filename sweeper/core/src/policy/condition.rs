//! `when`.
use super::{Costs, vocabulary::Field};
use crate::{
    detect::View,
    inventory::{Resource, Unseen},
    model::Tri,
};

/// Why a value is not known.
pub enum Why {
    Missing,
    Unseen(Box<Unseen>),
}

impl Why {
    pub fn phrase(&self) -> &str {
        "not known"
    }
}

/// What a condition is evaluated against.
pub struct Reader<'a, 'c> {
    pub view: &'a View<'a>,
    pub costs: &'c dyn Costs,
    pub resource: Resource<'a>,
}

/// A compiled condition.
pub struct Condition {
    fields: Vec<&'static Field>,
}

impl<'a, 'c> Reader<'a, 'c> {
    /// Notes no question.
    pub fn quiet(view: &'a View<'a>, costs: &'c dyn Costs, resource: Resource<'a>) -> Self {
        Self { view, costs, resource }
    }

    /// Notes every question without an answer.
    pub fn asking(view: &'a View<'a>, costs: &'c dyn Costs, resource: Resource<'a>) -> Self {
        Self { view, costs, resource }
    }
}

impl Condition {
    /// The fields it reads.
    pub fn fields(&self) -> &[&'static Field] {
        &self.fields
    }

    /// Whether it holds.
    pub fn holds(&self, _: &Reader<'_, '_>) -> Tri {
        None
    }

    /// What is not known that would decide it.
    pub fn why_unknown(&self, _: &Reader<'_, '_>) -> Option<Unseen> {
        None
    }

    /// Every fact it reads, with its value.
    pub fn read(&self, _: &Reader<'_, '_>) -> Vec<(String, Result<String, Why>)> {
        Vec::new()
    }
}
