//! What the benches of the audit log record.

use sweeper_core::{
    audit::{Event, Identity, Intent, Outcome, OutcomeResult, Sent},
    model::{CloudId, Timestamp},
    money::{Amount, Cost},
};

const PLAN: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// What is recorded of one deletion.
pub(crate) fn deletion(item: u32) -> [Event; 3] {
    let resource = Identity {
        kind: "aws.ec2-volume".to_owned(),
        cloud: CloudId::Aws,
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        native_id: format!("vol-{item:017x}"),
        uid: format!("vol-{item:017x}"),
        name: Some(format!("data of batch {item}")),
        created: Some(Timestamp(1_760_000_000)),
    };
    let (action, cost) = ("delete".to_owned(), Amount::parse("8.05").map(Cost::list));
    let approved_by = vec!["alice@example.com".to_owned()];
    let intent = Intent {
        action: action.clone(),
        resource: resource.clone(),
        fingerprint: Some(PLAN.to_owned()),
        cascade: Vec::new(),
        approved_by: approved_by.clone(),
        monthly_cost: cost.clone(),
        token: Some(PLAN[..32].to_owned()),
    };
    let sent = Sent { action: action.clone(), attempt: 1, token: Some(PLAN[..32].to_owned()) };
    let outcome = Outcome {
        action,
        resource,
        result: OutcomeResult::Confirmed,
        request_id: Some(format!("4f0e11c2-{item:08x}")),
        approved_by,
        monthly_cost: cost,
        kept: Some(format!("snap-{item:017x}")),
    };
    // Plans as large as a platform team's.
    let plan = format!("{:08x}{}", item / 500, &PLAN[8..]);
    [Event::new(intent), Event::new(sent), Event::new(outcome)].map(|event| event.of_item(&plan, item % 500))
}
