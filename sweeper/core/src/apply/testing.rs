//! For tests of providers: a permit without a plan. Not in any build that ships: `tests/tools/shipped` says so.

use crate::{
    deed::{Deed, Kept, Permit, Target},
    kind::KindSpec,
};

/// Leave for a deed, for a test against an emulator.
pub fn permit(spec: &'static KindSpec, target: Target, deed: Deed, kept: Option<Kept>) -> Option<Permit> {
    let act = spec.act(deed.kind())?;
    // Two resources have two tokens: clouds refuse one that was used for another request.
    let token = super::token("test", 1, &format!("{} {}", deed.kind().name(), target.id()));
    Some(Permit::new(target, deed, *act, token, "sweeper-test-1".to_owned(), kept))
}
