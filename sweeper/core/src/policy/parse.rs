//! Loading.
use super::{Known, Loaded, PolicySet, Source};

/// Reads policies.
pub fn load(_sources: &[Source], _known: &Known<'_>) -> Loaded {
    Loaded {
        set: Some(PolicySet { policies: Vec::new(), excepts: Vec::new(), digest: String::new() }),
        problems: Vec::new(),
    }
}
