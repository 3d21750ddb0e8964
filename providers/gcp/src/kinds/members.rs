//! With whom a policy of IAM shares a resource.

use crate::auth::Gcp;
use google_cloud_compute_v1::model::Policy;
use std::collections::BTreeSet;

/// Projects that the members of a resource's own policy belong to, `all` for everybody, and the member itself where
/// it says no project: a person, a group, a domain, whose projects nobody can list. What a project's own policy
/// lets its own members do is no sharing.
pub(super) fn accounts(gcp: &Gcp, home: &str, policy: &Policy) -> Vec<String> {
    let members: BTreeSet<String> = policy
        .bindings
        .iter()
        .flat_map(|binding| &binding.members)
        .filter_map(|member| account(member, |number| gcp.project_of_number(number)))
        .filter(|account| account != home)
        .collect();
    members.into_iter().collect()
}

/// The project of a member, or whatever else it says it is; `None` for one that is gone.
fn account(member: &str, of_number: impl Fn(&str) -> Option<String>) -> Option<String> {
    if member.starts_with("deleted:") {
        return None;
    }
    if matches!(member, "allUsers" | "allAuthenticatedUsers") {
        return Some("all".to_owned());
    }
    for convenience in ["projectOwner:", "projectEditor:", "projectViewer:"] {
        if let Some(project) = member.strip_prefix(convenience) {
            return Some(project.to_owned());
        }
    }
    let Some((name, host)) = member.strip_prefix("serviceAccount:").and_then(|email| email.split_once('@')) else {
        return Some(member.to_owned());
    };
    // `NAME@PROJECT.iam.gserviceaccount.com`, but `service-NUMBER@SERVICE.iam.gserviceaccount.com` is a service
    // agent, and the default ones are `NUMBER@cloudservices` and `NUMBER-compute@developer`.
    let number = name.strip_prefix("service-").unwrap_or(name).trim_end_matches("-compute");
    if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(of_number(number).unwrap_or_else(|| number.to_owned()));
    }
    if let Some(project) = host.strip_suffix(".iam.gserviceaccount.com") {
        // A project of a domain (`example.com:p`) is written `p.example.com` here.
        return Some(match project.split_once('.') {
            Some((project, domain)) => format!("{domain}:{project}"),
            None => project.to_owned(),
        });
    }
    match host.strip_suffix("appspot.gserviceaccount.com") {
        Some("") => Some(name.to_owned()),
        _ => Some(member.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_member_is() {
        let of = |member| account(member, |number| (number == "123").then(|| "blue".to_owned()));
        for (member, project) in [
            ("allUsers", "all"),
            ("allAuthenticatedUsers", "all"),
            ("serviceAccount:ci@red.iam.gserviceaccount.com", "red"),
            ("serviceAccount:ci@red.example.com.iam.gserviceaccount.com", "example.com:red"),
            ("serviceAccount:123@cloudservices.gserviceaccount.com", "blue"),
            ("serviceAccount:456-compute@developer.gserviceaccount.com", "456"),
            ("serviceAccount:service-123@compute-system.iam.gserviceaccount.com", "blue"),
            ("serviceAccount:red@appspot.gserviceaccount.com", "red"),
            ("user:a@example.com", "user:a@example.com"),
            ("group:all@example.com", "group:all@example.com"),
            ("domain:example.com", "domain:example.com"),
            ("serviceAccount:", "serviceAccount:"),
        ] {
            assert_eq!(of(member).as_deref(), Some(project), "{member}");
        }
        assert_eq!(of("deleted:serviceAccount:x@y.iam.gserviceaccount.com?uid=1"), None);
    }
}
