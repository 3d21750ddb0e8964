//! EC2.
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;
use crate::services::{Kind, invalid_action};
pub(crate) const KINDS: &[Kind] = &[];
pub(crate) fn device(_at: usize) -> String { String::new() }
pub(crate) fn handle(_cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    Err(invalid_action(request))
}
