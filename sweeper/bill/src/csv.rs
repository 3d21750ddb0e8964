//! CSV.
use crate::{
    partial::Partial,
    row::{At, Needs},
    source::Opened,
};
pub(crate) fn read(_f: &str, _o: Opened, _n: &Needs, _p: &mut Partial) -> Result<(), (Option<At>, String)> {
    Ok(())
}
