//! CloudWatch log groups.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    pen::{send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::{
    Client,
    types::{LogGroup as Group, LogGroupClass, LogStream, OrderBy},
};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Pen, Reversal, Sent, Target},
    facts::LogGroup,
    inventory::{Draft, Inventory, Listing},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Timestamp},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.logs-group",
    cloud: CloudId::Aws,
    class: Class::LogGroup,
    title: "log group",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[STREAMS, TAGS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        ActSpec { reads: GONE, ..acts::tag(&[post(SET, "TagResource")]) },
        ActSpec { reads: GONE, ..acts::untag(&[post(CLEAR, "UntagResource")]) },
        ACT_RETENTION,
        ACT_DELETE,
    ],
};

const ACT_RETENTION: ActSpec = ActSpec {
    deed: DeedKind::SetRetention,
    writes: &[post(KEEP, "PutRetentionPolicy"), post(KEEP_FOR_EVER, "DeleteRetentionPolicy")],
    reads: GONE,
    // The setting is taken back; events that are older than it are not (CloudWatch Logs user guide, "Working with log
    // groups"): they go within days.
    reversal: Reversal::OneWay("events that are older than it"),
    keeps: &[],
    takes: &[],
};

const ACT_DELETE: ActSpec =
    ActSpec { reads: GONE, ..acts::delete(&[post(DELETE, "DeleteLogGroup")], Reversal::OneWay("every event in it")) };

/// What shows that a group is gone, of which a listing without it is no proof.
const GONE: &[&str] = &[STREAMS];

const SET: &str = "logs:TagResource";
const CLEAR: &str = "logs:UntagResource";
const KEEP: &str = "logs:PutRetentionPolicy";
const KEEP_FOR_EVER: &str = "logs:DeleteRetentionPolicy";
const DELETE: &str = "logs:DeleteLogGroup";

const LIST: &str = "logs:DescribeLogGroups";
const STREAMS: &str = "logs:DescribeLogStreams";
const TAGS: &str = "logs:ListTagsForResource";

pub(super) struct LogsGroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for LogsGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let logs = self.0.logs(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page =
                fault::call(site, LIST, || logs.describe_log_groups().limit(50).set_next_token(token.clone()).send())
                    .await?;
            for group in page.log_groups() {
                push(group, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let logs = self.0.logs(site.scope());
        let events = asks::of(asks, |question| question == Question::LastEvent);
        let tags = asks::of(asks, |question| question == Question::Tags);
        let mut answers = asks::alike(
            events
                .into_iter()
                .map(|ask| (ask, last_event(site, &logs, inventory.at(ask.resource).native_id())))
                .collect(),
        )
        .await;
        answers.extend(
            asks::alike(
                tags.into_iter().map(|ask| (ask, tags_of(site, &logs, inventory.at(ask.resource).uid()))).collect(),
            )
            .await,
        );
        Ok(answers)
    }

    /// There is no call for one group: those that begin with its name come in order, itself first. That it is gone is
    /// said by a call about its streams.
    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let logs = self.0.logs(site.scope());
        let name = &target.native_id;
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                logs.describe_log_groups().log_group_name_prefix(name).limit(50).set_next_token(token.clone()).send()
            })
            .await?;
            if let Some(group) = page.log_groups().iter().find(|group| group.log_group_name() == Some(name)) {
                push(group, out);
                return Ok(());
            }
            pages.seen(page.next_token())?;
        }
        let streams =
            fault::maybe(site, STREAMS, || logs.describe_log_streams().log_group_name(name).limit(1).send()).await?;
        match streams {
            None => Ok(()),
            Some(_) => Err(CloudError::new(Fault::Malformed, LIST, "the listing leaves out a group that is there")),
        }
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let (name, arn) = (&pen.target().native_id, &pen.target().uid);
        let deed = pen.permit().deed();
        if matches!(deed, Deed::Delete | Deed::SetRetention { .. }) {
            acts::same(self, pen).await?;
        }
        let own = [arn.clone(), format!("{arn}:*")];
        let logs = self.0.writer(&SPEC, pen, &own).await?.logs();
        match deed {
            Deed::Tag { key, value } => {
                Ok(sent(&send(pen, SET, logs.tag_resource().resource_arn(arn).tags(key, value).send()).await?, ""))
            }
            Deed::Untag { key } => {
                Ok(sent(&send(pen, CLEAR, logs.untag_resource().resource_arn(arn).tag_keys(key).send()).await?, ""))
            }
            Deed::SetRetention { days: Some(days) } => {
                let days = i32::try_from(*days).map_err(|_| CloudError::new(Fault::Refused, KEEP, "too many days"))?;
                let change = logs.put_retention_policy().log_group_name(name).retention_in_days(days).send();
                Ok(sent(&send(pen, KEEP, change).await?, ""))
            }
            Deed::SetRetention { days: None } => {
                let change = logs.delete_retention_policy().log_group_name(name).send();
                Ok(sent(&send(pen, KEEP_FOR_EVER, change).await?, ""))
            }
            Deed::Delete => {
                Ok(sent(&send(pen, DELETE, logs.delete_log_group().log_group_name(name).send()).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

/// When the stream that was written to last was written to.
async fn last_event(site: &Site, logs: &Client, group: &str) -> Result<Answer, CloudError> {
    let page = fault::call(site, STREAMS, || {
        logs.describe_log_streams()
            .log_group_name(group)
            .order_by(OrderBy::LastEventTime)
            .descending(true)
            .limit(1)
            .send()
    })
    .await?;
    Ok(Answer::When(page.log_streams().iter().filter_map(written).max()))
}

/// When a stream was last written to: the time of its last event lags, and may be any time its writer says.
fn written(stream: &LogStream) -> Option<Timestamp> {
    instant(stream.last_ingestion_time().max(stream.last_event_timestamp()))
}

/// CloudWatch Logs counts milliseconds.
fn instant(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(|millis| Timestamp(millis.div_euclid(1000)))
}

async fn tags_of(site: &Site, logs: &Client, arn: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, TAGS, || logs.list_tags_for_resource().resource_arn(arn).send()).await?;
    let tags: BTreeMap<String, String> = answer.tags.unwrap_or_default().into_iter().collect();
    Ok(Answer::Tags(tags.into_iter().collect()))
}

/// The days events are kept; `None` is for ever. Groups that only deliver keep them for one.
fn retention(group: &Group) -> Option<u32> {
    match group.retention_in_days() {
        Some(days) => Some(days.unsigned_abs()),
        None => (group.log_group_class() == Some(&LogGroupClass::Delivery)).then_some(1),
    }
}

fn push(group: &Group, out: &mut Listing) {
    let facts = LogGroup {
        retention_days: retention(group),
        bytes: group.stored_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
        machinery: false,
    };
    // The older field ends in `:*`, which tags are not listed by.
    let arn = group.log_group_arn().or_else(|| group.arn().map(|arn| arn.trim_end_matches(":*")));
    out.push(Draft {
        uid: arn.unwrap_or_default(),
        created: instant(group.creation_time()),
        protected: if group.deletion_protection_enabled() == Some(true) { "deletion protection" } else { "" },
        ..Draft::new(group.log_group_name().unwrap_or_default(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_none_is_for_ever_except_for_delivery() {
        let group = || Group::builder().log_group_name("g");
        assert_eq!(retention(&group().build()), None);
        assert_eq!(retention(&group().retention_in_days(7).build()), Some(7));
        assert_eq!(retention(&group().log_group_class(LogGroupClass::Delivery).build()), Some(1));
        assert_eq!(retention(&group().log_group_class(LogGroupClass::from("NEW")).build()), None);
    }

    #[test]
    fn the_later_of_event_and_ingestion_counts() {
        let stream = LogStream::builder().last_event_timestamp(1_000).last_ingestion_time(5_999).build();
        assert_eq!(written(&stream), Some(Timestamp(5)));
        assert_eq!(written(&LogStream::builder().last_event_timestamp(7_000).build()), Some(Timestamp(7)));
        assert_eq!(written(&LogStream::builder().build()), None);
    }
}
