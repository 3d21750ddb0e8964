//! `survey --to` and `survey merge`: which shard this is, before anything is looked at.

use crate::Place;

#[test]
fn a_process_that_does_not_know_its_shard_lists_nothing() {
    let place = Place::new();
    let look = ["survey", "--to", "meet", "--run", "r"];
    place.run(&look).failed(2, &["nothing says which shard this is"]);
    for (pairs, says) in [
        (&[("SWEEPER_SHARDS", "8")][..], "there are 8 shards, and nothing says which this is"),
        (&[("JOB_COMPLETION_INDEX", "1")], "JOB_COMPLETION_INDEX is set, but not how many shards there are"),
        (&[("CLOUD_RUN_TASK_INDEX", "8"), ("CLOUD_RUN_TASK_COUNT", "8")], "there is no shard 8 of 8"),
        (&[("AWS_BATCH_JOB_ARRAY_INDEX", "x"), ("SWEEPER_SHARDS", "8")], "`x`, which is no number"),
    ] {
        let output = place.command(&look).envs(pairs.iter().copied()).output().unwrap();
        crate::Ran::of(&output).failed(2, &[says]);
    }
    for (shard, says) in
        [("8/8", "there is no shard 8 of 8"), ("1", "`1` is no shard"), ("0/0", "there is no shard 0 of 0")]
    {
        place.run(&[&look[..], &["--shard", shard]].concat()).failed(2, &[says]);
    }
    place.run(&["survey", "--to", "meet", "--shard", "0/8"]).failed(2, &["the run has no name", "--run ID"]);
    assert_eq!(place.names(), [""; 0], "nothing was written");
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    let place = Place::new();
    for (arguments, says) in [
        (&["survey"][..], "--output"),
        (&["survey", "--shard", "0/8", "--output", "x"], "cannot be used with"),
        (&["survey", "--run", "r", "--output", "x"], "cannot be used with"),
        (&["survey", "--stage", "answers", "--output", "x"], "cannot be used with"),
        (&["survey", "--shard", "0/8"], "--to"),
        (&["survey", "--to", "meet", "--output", "x"], "cannot be used with"),
        (&["survey", "merge", "--run", "r"], "--from"),
        (&["survey", "merge", "--run", "r", "--from", "meet"], "--output"),
        (&["survey", "merge", "--run", "r", "--from", "meet", "--asks", "--output", "x"], "cannot be used with"),
        (&["survey", "--to", "meet", "--shard", "0/8", "--stage", "all"], "--stage"),
    ] {
        place.run(arguments).failed(2, &[says]);
    }
    place
        .run(&["survey", "merge", "--run", "r", "--from", "meet", "--output", "x"])
        .failed(2, &["nothing of the run `r`"]);
    place
        .run(&["survey", "merge", "--from", "ftp://x", "--run", "r", "--output", "x"])
        .failed(2, &["no shards meet in `ftp://`"]);
}
