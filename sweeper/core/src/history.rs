//! What runs leave behind, so that later ones can say what changed.
//!
//! - [`counts`]: how many resources there were, by class, account and owner, for 60 days: what growth is judged by.
//! - [`runs`]: a summary of each run for 400 days: waste by owner and detector, and what is held and why.
//! - [`since`]: the rows of the last report, and how those of this one differ.
//!
//! Each is bounded in size, whatever is found. All are documents of their own: a run that cannot write them says so
//! and goes on, and nothing that is decided rests on them.

pub mod counts;
pub mod runs;
pub mod since;

pub use counts::counts;

/// The account of a scope as it is kept: ids of two clouds may be the same.
fn account(cloud: crate::model::CloudId, account: &str) -> String {
    format!("{}:{account}", cloud.name())
}

/// The longest text of others that is kept, bytes. Ids are never cut.
const LONGEST: usize = 256;

/// A text, cut where it is too long to be kept.
fn short(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}
