//! Deeds that are alike for many kinds.

use crate::pen::{Writer, send, sent, unknown};
use aws_sdk_ec2::types::Tag;
use sweeper_core::{
    deed::{ActSpec, Deed, DeedKind, Pen, Reversal, Sent, Write},
    inventory::InventoryBuilder,
    kind::{CloudError, Fault, Kind},
    observe::Observed,
};

/// A call of one of the services that take every call as a `POST`.
pub(crate) const fn post(permission: &'static str, action: &'static str) -> Write {
    Write { permission, method: "POST", action }
}

/// A tag is set.
pub(crate) const fn tag(writes: &'static [Write]) -> ActSpec {
    ActSpec {
        deed: DeedKind::Tag,
        writes,
        reads: &[],
        reversal: Reversal::Undo("the tag is taken away again"),
        keeps: &[],
        takes: &[],
    }
}

/// A tag is taken away.
pub(crate) const fn untag(writes: &'static [Write]) -> ActSpec {
    ActSpec {
        deed: DeedKind::Untag,
        writes,
        reads: &[],
        reversal: Reversal::Undo("the tag is set again"),
        keeps: &[],
        takes: &[],
    }
}

/// A deletion of which nothing is kept.
pub(crate) const fn delete(writes: &'static [Write], reversal: Reversal) -> ActSpec {
    ActSpec { deed: DeedKind::Delete, writes, reads: &[], reversal, keeps: &[], takes: &[] }
}

const EC2_SET: &str = "ec2:CreateTags";
const EC2_CLEAR: &str = "ec2:DeleteTags";

/// The deeds on a tag of anything in EC2.
pub(crate) const EC2_TAG: ActSpec = tag(&[post(EC2_SET, "CreateTags")]);
pub(crate) const EC2_UNTAG: ActSpec = untag(&[post(EC2_CLEAR, "DeleteTags")]);

/// Sets or takes away a tag of something in EC2.
pub(crate) async fn ec2_tag(writer: &Writer, pen: &Pen<'_>) -> Result<Sent, CloudError> {
    let (ec2, id) = (writer.ec2(), pen.target().native_id.as_str());
    match pen.permit().deed() {
        Deed::Tag { key, value } => {
            let tag = Tag::builder().key(key).value(value).build();
            Ok(sent(&send(pen, EC2_SET, ec2.create_tags().resources(id).tags(tag).send()).await?, ""))
        }
        Deed::Untag { key } => {
            let tag = Tag::builder().key(key).build();
            Ok(sent(&send(pen, EC2_CLEAR, ec2.delete_tags().resources(id).tags(tag).send()).await?, ""))
        }
        _ => Err(unknown(pen)),
    }
}

/// The one thing that was asked for by its id. A service that does not have it says so by an error, which is `None`
/// here: an answer without it is none.
pub(crate) fn found<Page, T>(
    op: &'static str,
    answer: Option<Page>,
    pick: impl FnOnce(&Page) -> Option<T>,
) -> Result<Option<T>, CloudError> {
    match answer {
        None => Ok(None),
        Some(page) => match pick(&page) {
            Some(found) => Ok(Some(found)),
            None => Err(CloudError::new(Fault::Malformed, op, "the answer is not about what was asked for")),
        },
    }
}

/// Reads once more, just before a call that takes a name which can be given again, whether the resource is the
/// permit's: its identity and the time of its making. One that is gone is an error, too.
pub(crate) async fn same<K: Kind>(kind: &K, pen: &Pen<'_>) -> Result<(), CloudError> {
    let (spec, site, target) = (kind.spec(), pen.site(), pen.target());
    let op = pen.permit().spec().writes.first().map_or("nothing", |write| write.permission);
    let mut builder = InventoryBuilder::new(&[spec]);
    let mut listing = builder.listing(spec, site.scope());
    kind.observe(site, target, &mut listing).await?;
    builder.complete(listing, site.made());
    let seen = Observed::of(builder.build(), spec, target)?;
    match seen.resource() {
        None => Err(CloudError::new(Fault::NotFound, op, "it is gone")),
        Some(there) if there.uid() == target.uid && there.created() == target.created => Ok(()),
        Some(_) => Err(CloudError::new(Fault::Refused, op, "it is another one of the same name")),
    }
}
