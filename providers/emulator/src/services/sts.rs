//! STS: who am I, and roles.

use serde_json::json;

use crate::cloud::Cloud;
use crate::fault::denied;
use crate::http::{Reply, WireError, time};
use crate::org::is_account_id;
use crate::request::Request;
use crate::services::invalid_action;

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    match request.action.as_str() {
        "GetCallerIdentity" => Ok(Reply::Value(identity(cloud, request))),
        "AssumeRole" => assume_role(cloud, request),
        _ => Err(invalid_action(request)),
    }
}

fn identity(cloud: &Cloud, request: &Request) -> serde_json::Value {
    let account = &request.account;
    if request.temporary {
        let role = cloud.account(account).and_then(|known| known.role.as_deref()).unwrap_or("sweeper");
        json!({
            "Account": account,
            "UserId": format!("AROA{account}:sweeper"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{role}/sweeper"),
        })
    } else {
        json!({
            "Account": account,
            "UserId": format!("AIDA{account}"),
            "Arn": format!("arn:aws:iam::{account}:user/sweeper"),
        })
    }
}

/// The account's file entry says who may assume what: the role's name and, if set, the external id.
fn assume_role(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let invalid = |message: String| WireError::new(400, "ValidationError", message);
    let arn = request.text("RoleArn").unwrap_or_default();
    let session = request.text("RoleSessionName").unwrap_or_default();
    if session.len() < 2 || session.len() > 64 {
        return Err(invalid(
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must have length between 2 and 64".to_owned(),
        ));
    }
    let (account, role) = arn
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .filter(|(account, role)| is_account_id(account) && !role.is_empty())
        .ok_or_else(|| invalid(format!("{arn} is invalid")))?;
    let granted = cloud.account(account).is_some_and(|known| {
        known.status == "ACTIVE"
            && (known.role.as_deref() == Some(role) || known.delete_role.as_deref() == Some(role))
            && (known.external_id.is_none() || known.external_id.as_deref() == request.text("ExternalId"))
    });
    if !granted {
        let mut error = denied(request);
        error.message = format!(
            "User: arn:aws:iam::{}:user/sweeper is not authorized to perform: sts:AssumeRole on resource: {arn}",
            request.account
        );
        return Err(error);
    }
    let lifetime = request.int("DurationSeconds")?.unwrap_or(3600);
    if !(900..=43_200).contains(&lifetime) {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned(),
        ));
    }
    // The credentials' end is on the client's clock, whatever moment is emulated.
    let end = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(lifetime)).unwrap_or(cloud.now);
    Ok(Reply::Value(json!({
        "Credentials": {
            "AccessKeyId": format!("ASIA{account}SWEEP"),
            "SecretAccessKey": "emulated",
            "SessionToken": format!("emulated-{account}"),
            "Expiration": time(end),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROA{account}:{session}"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        },
    })))
}
