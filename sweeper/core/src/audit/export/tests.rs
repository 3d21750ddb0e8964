use super::*;
use crate::{
    audit::{
        Body, Event, Intent, Outcome, OutcomeResult,
        tests::{PLAN, START, as_recorded, intent, origin, outcome, samples},
    },
    inert::is_hostile,
};

const FORMATS: [Format; 3] = [Format::Ocsf, Format::Ecs, Format::CloudEvents];
const HOSTILE: &str = "=cmd|'/C calc'!A0\u{1b}[31m\n\u{202e}\"}</script>\u{9b}\u{feff},";

fn line(seq: u64, event: Event) -> Vec<u8> {
    as_recorded(seq, [0xab; 32], START, event).line().unwrap()
}

fn exported(format: Format, line: &[u8], verified: bool) -> Value {
    let bytes = record(format, line, &origin(), "0.1.0", verified).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains(|letter| is_hostile(letter) || matches!(letter, '<' | '>')), "{text}");
    serde_json::from_str(&text).unwrap()
}

fn of(format: Format, event: Event) -> Value {
    exported(format, &line(7, event), true)
}

#[test]
fn every_type_of_event_has_words_elsewhere() {
    let said: Vec<&str> = TABLE.iter().map(|words| words.name).collect();
    assert_eq!(said, Body::NAMES, "a new type of event needs a line in the table, in its order");
}

/// What OCSF 1.8.0 requires, of any event and of each class; and of what is within.
#[test]
fn ocsf_has_what_it_requires() {
    let every = ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
    for (seq, event) in (0..).zip(samples()) {
        let said = exported(Format::Ocsf, &line(seq, event.clone()), true);
        let about = format!("{}: {said}", event.body.name());
        let has = |value: &Value, keys: &[&str]| keys.iter().all(|key| !value[*key].is_null());
        assert!(has(&said, &every), "{about}");
        let (class, activity) = (said["class_uid"].as_u64().unwrap(), said["activity_id"].as_u64().unwrap());
        assert_eq!(said["type_uid"], class * 100 + activity, "{about}");
        assert_eq!(said["category_uid"], class / 1000, "{about}");
        assert_eq!(said["time"], START.0, "{about}");
        assert!(has(&said["metadata"], &["version", "product", "uid"]), "{about}");
        assert_eq!(said["metadata"]["sequence"], seq, "{about}");
        match class {
            6003 => {
                assert!(has(&said, &["actor", "api", "src_endpoint"]), "{about}");
                assert!(has(&said["api"], &["operation"]) && has(&said["actor"], &["app_name"]), "{about}");
            }
            3004 => assert!(has(&said["entity"], &["uid", "type"]), "{about}"),
            6002 => assert!(has(&said["app"], &["name"]), "{about}"),
            6007 => assert!(has(&said["scan"], &["uid", "type_id"]), "{about}"),
            other => assert_eq!(other, 0, "{about}"),
        }
        let cloud = event.body.resource().is_some();
        assert_eq!(has(&said["cloud"], &["provider"]), cloud, "{about}");
        assert_eq!(said["metadata"]["profiles"] == serde_json::json!(["cloud"]), cloud, "{about}");
        // Whatever has no place of its own there.
        assert!(has(&said["unmapped"], &["seq", "prev", "hash", "type"]), "{about}");
        if let Some(cost) = serde_json::to_value(&event.body).unwrap().get("monthly_cost") {
            assert_eq!(&said["unmapped"]["monthly_cost"], cost, "{about}");
        }
    }
}

#[test]
fn a_deletion_is_one_deletion() {
    let ended = |result| Event::new(outcome(1, result)).of_item(PLAN, 1);
    let unknown = OutcomeResult::Unknown { reason: "no answer".to_owned() };
    let failed = OutcomeResult::Failed { error: "in use".to_owned() };
    let begun = || Event::new(intent(1)).of_item(PLAN, 1);
    // The type, the status, and the severity.
    let ocsf = |event| {
        let said = of(Format::Ocsf, event);
        (said["type_uid"].as_u64().unwrap(), said["status_id"].as_u64().unwrap(), said["severity_id"].as_u64().unwrap())
    };
    assert_eq!(ocsf(ended(OutcomeResult::Confirmed)), (600_304, 1, 1));
    assert_eq!(ocsf(ended(OutcomeResult::AlreadyGone)), (600_304, 99, 1));
    assert_eq!(ocsf(ended(failed.clone())), (600_304, 2, 3));
    assert_eq!(ocsf(ended(unknown.clone())), (600_304, 0, 3));
    assert_eq!(ocsf(begun()), (600_304, 99, 1));
    let ecs = |event| {
        let said = of(Format::Ecs, event);
        (said["event"]["type"][0].as_str().unwrap().to_owned(), said["event"]["outcome"].as_str().unwrap().to_owned())
    };
    let is = |kind: &str, outcome: &str| (kind.to_owned(), outcome.to_owned());
    assert_eq!(ecs(ended(OutcomeResult::Confirmed)), is("deletion", "success"));
    assert_eq!(ecs(ended(OutcomeResult::AlreadyGone)), is("info", "unknown"));
    assert_eq!(ecs(ended(failed)), is("info", "failure"));
    assert_eq!(ecs(ended(unknown)), is("info", "unknown"));
    assert_eq!(ecs(begun()), is("info", "unknown"));
    let said = of(Format::Ocsf, ended(OutcomeResult::Confirmed));
    assert_eq!(said["api"]["operation"], "delete");
    assert_eq!(said["api"]["request"]["uid"], "4f0e-11");
    assert_eq!(said["cloud"]["provider"], "AWS");
    assert_eq!(said["cloud"]["account"]["uid"], "111111111111");
    assert_eq!(said["unmapped"]["approved_by"][0], "alice@example.com");
    assert_eq!(said["unmapped"]["plan"], PLAN);
    // The one who approved is not the one who acts.
    assert!(said["actor"]["user"].is_null());
}

#[test]
fn ecs_and_cloudevents_have_what_they_require() {
    for (seq, event) in (0..).zip(samples()) {
        let bytes = line(seq, event.clone());
        let said = exported(Format::Ecs, &bytes, true);
        assert_eq!(said["@timestamp"], START.to_string());
        assert!(said["ecs"]["version"].is_string());
        assert_eq!(said["event"]["kind"], "event");
        assert!(said["event"]["category"].is_array() && said["event"]["type"].is_array(), "{said}");
        assert!(said["labels"].as_object().unwrap().values().all(Value::is_string), "{said}");

        let said = exported(Format::CloudEvents, &bytes, true);
        assert_eq!(said["specversion"], "1.0");
        assert_eq!(said["id"], seq.to_string());
        assert_eq!(said["source"], format!("/{}", origin()));
        assert_eq!(said["type"], format!("sweeper.audit.{}.v1", event.body.name()));
        let plain = |key: &String| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(said.as_object().unwrap().keys().all(plain), "{said}");
        // The event whole: the line again, but for the format and the time, which the envelope has.
        let native: Map<String, Value> = serde_json::from_slice(&bytes).unwrap();
        for (key, value) in native.iter().filter(|(key, _)| !matches!(key.as_str(), "v" | "ts")) {
            assert_eq!(&said["data"][key], value, "{said}");
        }
        assert_eq!(said["data"]["hash"], said["linehash"]);
    }
}

#[test]
fn what_was_not_verified_says_so_in_every_record() {
    for event in samples() {
        let bytes = line(1, event);
        for verified in [true, false] {
            assert_eq!(exported(Format::Ocsf, &bytes, verified)["unmapped"]["log_verified"], verified);
            assert_eq!(exported(Format::Ecs, &bytes, verified)["labels"]["log_verified"], verified.to_string());
            assert_eq!(exported(Format::CloudEvents, &bytes, verified)["logverified"], verified);
        }
    }
}

#[test]
fn hostile_names_are_texts_and_nothing_else() {
    let mut begun: Intent = intent(1);
    begun.resource.name = Some(HOSTILE.to_owned());
    begun.resource.native_id = format!("vol-{HOSTILE}");
    begun.approved_by = vec![HOSTILE.to_owned()];
    let mut ended: Outcome = outcome(1, OutcomeResult::Failed { error: HOSTILE.to_owned() });
    ended.resource = begun.resource.clone();
    for format in FORMATS {
        // `of` reads the bytes again and refuses what could act.
        of(format, Event::new(begun.clone()).of_item(PLAN, 1));
        of(format, Event::new(ended.clone()).of_item(PLAN, 1));
    }
    let said = of(Format::Ocsf, Event::new(ended).of_item(PLAN, 1));
    assert_eq!(said["status_detail"], HOSTILE);
    assert_eq!(said["resources"][0]["name"], HOSTILE);
    let said = of(Format::CloudEvents, Event::new(begun).of_item(PLAN, 1));
    assert!(!said["subject"].as_str().unwrap().contains(is_hostile));
}

#[test]
fn a_type_of_a_later_release_is_exported_as_it_is() {
    let text = String::from_utf8(line(3, Event::new(crate::audit::Heartbeat {}))).unwrap();
    let later = text.replacen("\"heartbeat\"", "\"tomorrow\",\"weather\":[1,{\"a\":\"b\"}]", 1);
    let said = exported(Format::Ocsf, later.as_bytes(), true);
    assert_eq!((&said["class_uid"], &said["type_uid"]), (&0.into(), &99.into()));
    assert_eq!(said["activity_name"], "tomorrow");
    assert_eq!(said["unmapped"]["weather"][1]["a"], "b");
    for format in FORMATS {
        exported(format, later.as_bytes(), true);
        assert!(record(format, text.replacen("\"v\":1", "\"v\":2", 1).as_bytes(), &origin(), "0", true).is_err());
        assert!(record(format, &text.as_bytes()[..40], &origin(), "0", true).is_err());
    }
}
