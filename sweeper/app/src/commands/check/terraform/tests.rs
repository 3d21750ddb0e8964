//! The table of kinds, and plans of every odd form.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_resource_of_terraform_stands_once() {
    let names: BTreeSet<&str> = KINDS.iter().map(|(of, ..)| *of).collect();
    assert_eq!(names.len(), KINDS.len());
}

/// As far as this build knows the kinds.
#[test]
fn every_kind_is_one_of_ours_and_of_its_class() {
    let specs = crate::clouds::specs();
    for (of, kind, class) in KINDS {
        let cloud = kind.split_once('.').and_then(|(cloud, _)| CloudId::parse(cloud)).unwrap();
        if crate::clouds::BUILT.contains(&cloud) {
            let spec = specs.iter().find(|spec| spec.id == *kind);
            assert_eq!(spec.map(|spec| spec.class), Some(*class), "{of}");
        }
    }
}

fn planned(change: &str) -> Tags {
    let text = format!(
        r#"{{"format_version":"1.2","resource_changes":[{{"address":"a","type":"aws_eip","change":{change}}}]}}"#
    );
    Plan::parse(text.as_bytes()).unwrap().resources.remove(0).tags
}

#[test]
fn tags_of_odd_forms_are_unknown_or_none_and_never_a_panic() {
    let create = |rest: &str| planned(&format!(r#"{{"actions":["create"]{rest}}}"#));
    assert_eq!(create(""), Tags::default());
    assert_eq!(create(r#","after":null,"after_unknown":false"#), Tags::default());
    assert_eq!(create(r#","after":{"tags":["x"],"tags_all":3}"#), Tags::default());
    assert!(create(r#","after_unknown":true"#).more);
    let tags = create(r#","after":{"tags_all":{"a":1,"b":null,"c":true}},"after_sensitive":true"#);
    let value = |key: &str| tags.known.get(key).cloned().flatten();
    assert_eq!((value("a").as_deref(), value("b"), value("c").as_deref()), (Some("1"), None, Some("true")));
    assert!(tags.sensitive.contains("a") && tags.sensitive.contains("c"));
}

#[test]
fn the_tags_of_one_provider_of_several_are_not_taken_for_those_of_all() {
    let one = r#"{"name":"aws","expressions":{"default_tags":[{"tags":{"constant_value":{"owner":"a"}}}]}}"#;
    let plan = |providers: &str| {
        let text = format!(
            r#"{{"format_version":"1.2","configuration":{{"provider_config":{{{providers}}}}},
            "resource_changes":[{{"address":"a","type":"aws_eip","change":{{"actions":["create"],
            "after":{{"tags":{{"env":"x"}}}},"after_unknown":{{"tags_all":true}}}}}}]}}"#
        );
        Plan::parse(text.as_bytes()).unwrap().resources.remove(0).tags
    };
    let only = plan(&format!(r#""aws":{one}"#));
    assert!(!only.more && only.known.contains_key("owner") && only.known.contains_key("env"), "{only:?}");
    let both = plan(&format!(r#""aws":{one},"aws.other":{{"name":"aws"}}"#));
    assert!(both.more && !both.known.contains_key("owner"), "{both:?}");
}
