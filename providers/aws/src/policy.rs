//! Whom a resource policy lets in.

use serde_json::Value;
use std::collections::BTreeSet;

/// The accounts that an allowing statement of a policy names, without `home`; `"all"` where it names
/// everybody, or somebody in a way that is not understood. Services are not accounts. `None` when the text
/// is no policy. Conditions are not read: they only narrow.
pub(crate) fn accounts(text: &str, home: &str) -> Option<Vec<String>> {
    let mut accounts = BTreeSet::new();
    for statement in statements(text)? {
        if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
            continue;
        }
        match statement.get("Principal") {
            Some(Value::Object(principals)) => {
                for (sort, named) in principals.iter().filter(|(sort, _)| *sort != "Service") {
                    for name in many(named) {
                        let known = (sort == "AWS").then(|| name.as_str().and_then(account)).flatten();
                        accounts.insert(known.unwrap_or("all").to_owned());
                    }
                }
            }
            _ => {
                accounts.insert("all".to_owned());
            }
        }
    }
    accounts.remove(home);
    Some(accounts.into_iter().collect())
}

/// Whether an allowing statement names a service: `replicator.lambda.amazonaws.com`. `None` when the text
/// is no policy.
pub(crate) fn allows_service(text: &str, service: &str) -> Option<bool> {
    let allowed = statements(text)?.iter().any(|statement| {
        statement.get("Effect").and_then(Value::as_str) == Some("Allow")
            && statement
                .get("Principal")
                .and_then(|principal| principal.get("Service"))
                .is_some_and(|named| many(named).iter().any(|name| name.as_str() == Some(service)))
    });
    Some(allowed)
}

fn statements(text: &str) -> Option<Vec<Value>> {
    let policy: Value = serde_json::from_str(text).ok()?;
    match policy.get("Statement")? {
        Value::Array(statements) => Some(statements.clone()),
        statement @ Value::Object(_) => Some(vec![statement.clone()]),
        _ => None,
    }
}

/// A value or a list of values.
fn many(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

/// The account of a principal: `111111111111` or an ARN in it.
fn account(principal: &str) -> Option<&str> {
    let id = if principal.starts_with("arn:") { principal.split(':').nth(4)? } else { principal };
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_allowing_statements() {
        let policy = r#"{"Statement":[
            {"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root","111111111111"]}},
            {"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}},
            {"Effect":"Deny","Principal":"*"}]}"#;
        assert_eq!(accounts(policy, "111111111111").unwrap(), ["222222222222"]);
    }

    #[test]
    fn everybody_and_the_not_understood_are_all() {
        for principal in [
            r#""Principal":"*""#,
            r#""Principal":{"AWS":"*"}"#,
            r#""NotPrincipal":{"AWS":"111111111111"}"#,
            r#""Principal":{"AWS":"AIDAEXAMPLE"}"#,
            r#""Principal":{"Federated":"example.com"}"#,
        ] {
            let policy = format!(r#"{{"Statement":{{"Effect":"Allow",{principal}}}}}"#);
            assert_eq!(accounts(&policy, "111111111111").unwrap(), ["all"], "{principal}");
        }
        assert_eq!(accounts("<html>", "1"), None);
    }

    #[test]
    fn a_service_is_found() {
        let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":["a.amazonaws.com"]}}]}"#;
        assert_eq!(allows_service(policy, "a.amazonaws.com"), Some(true));
        assert_eq!(allows_service(policy, "b.amazonaws.com"), Some(false));
        assert_eq!(allows_service("", "b.amazonaws.com"), None);
    }
}
