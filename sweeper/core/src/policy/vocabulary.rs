//! What conditions may speak about.
use crate::model::{Class, Relation};

/// One word of the vocabulary.
pub struct Field {
    pub name: &'static str,
    pub relations: &'static [Relation],
    pub sources: &'static [Class],
}
