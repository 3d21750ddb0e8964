//! `sweeper job`: which schedule is run, and what is refused before anybody is asked anything.

use super::Place;

const TWO: &str = "[[schedule]]\nname = \"nightly\"\ncron = \"@daily\"\n\n[[schedule]]\nname = \"plans\"\ncron = \"@weekly\"\nrun = \"plan\"\noutput = \"out\"\n";

#[test]
fn a_schedule_is_named() {
    let place = Place::new();
    place.run(&["job"]).failed(2, &["the config has no schedule", "[[schedule]]"]);
    place.write("sweeper.toml", TWO);
    place.run(&["job"]).failed(2, &["several schedules", "nightly, plans"]);
    place.run(&["job", "hourly"]).failed(2, &["no schedule `hourly`", "nightly, plans"]);
    place.run(&["job", "--schedule", "hourly"]).failed(2, &["no schedule `hourly`"]);
    place.run(&["job", "nightly", "--schedule", "plans"]).failed(2, &["cannot be used with"]);
    place.write("sweeper.toml", &TWO.replace("plans", "nightly"));
    place.run(&["job", "nightly"]).failed(2, &["there are two schedules `nightly`"]);
    assert_eq!(place.names(), ["sweeper.toml"]);
}

#[test]
fn sorts_of_jobs_are_known_and_have_what_they_need() {
    let place = Place::new();
    place.write("sweeper.toml", &TWO.replace("\"plan\"", "\"apply\""));
    place
        .run(&["job", "plans"])
        .failed(2, &["unknown run `apply`", "report, survey, notify, plan", "sweeper.toml:8:7"]);
    place.write("sweeper.toml", &TWO.replace("\"plan\"", "\"reprot\""));
    place.run(&["job", "plans"]).failed(2, &["did you mean `report`?"]);
    place.write("sweeper.toml", &TWO.replace("output = \"out\"\n", ""));
    place.run(&["job", "plans"]).failed(2, &["schedule plans: what runs a plan needs `output`", "--output"]);
    place.run(&["daemon"]).failed(2, &["schedule plans: what runs a plan needs `output`"]);
    place.write("sweeper.toml", &TWO.replace("\"out\"", "\"ftp://out\""));
    place.run(&["job", "plans"]).failed(2, &["nothing is left in `ftp://`", "sweeper.toml:9:10"]);
    for (output, says) in [("s3://", "names no bucket"), ("ftp://x", "nothing is left in `ftp://`")] {
        place.run(&["job", "plans", "--output", output]).failed(2, &[says]);
    }
}

#[test]
fn tokens_and_deadlines_are_held_against_what_they_can_be() {
    let place = Place::new();
    place.write("sweeper.toml", TWO);
    let token = |token: &str, says: &str| place.run(&["job", "nightly", "--token", token]).failed(2, &[says]);
    token("", "the token is empty");
    token(&"x".repeat(600), "at most 512 bytes");
    token("<aws.scheduler.scheduled-time>", "was not replaced");
    place.run(&["job", "nightly", "--deadline", "0"]).failed(2, &["--deadline"]);
    place.run(&["job", "nightly", "--now", "2026-11-20T13:00:00Z"]).failed(2, &["a job runs now"]);
}
