#!/usr/bin/env python3
"""The binary as a function of AWS Lambda, under a fake of the Runtime API: what it answers, what is an error, triggers
that come twice, processes that are killed, deadlines.

    python3 tests/deploy/lambda_test.py      needs boto3, moto[server]; SWEEPER_BIN, SWEEPER_EMULATOR_BIN
"""
import json
import subprocess
import threading
import time

from place import BINARY, BUCKET, POLICIES, Cloud, Function, Place, Runtime, check, clouds, end, skip, until

place = Place()

# What a policy needs beside `then`, so that there is something to plan.
PLANNED = '''then = "delete"
for = "14d"
keep = "snapshot"
grace = "7d"
consent = "objection"
approve = "admin"
limit = { count = 10, share = "100%", monthly_usd = 500 }
accounts = ["aws:111111111111"]'''


def told(what, got, kind, says):
    """An answer of a kind, whose text has all of this."""
    text = json.dumps(got[1])
    check(what, got[0] == kind and all(part in text for part in says), got)


def jsonlike(what, lines):
    def fits(line):
        try:
            return json.loads(line)["severity"] in ("DEBUG", "INFO", "WARNING", "ERROR")
        except (ValueError, KeyError):
            return False
    check(what, lines and all(map(fits, lines)), [line for line in lines if not fits(line)][:3] or "no lines")


def wrong_events():
    runtime = Runtime()
    state = place.state()
    function = Function(place, runtime, place.environment(None, state))
    for what, event, says in [
        ("an event that is no object", [1], ["sweeper.Usage", "no object"]),
        ("an event that is no JSON", b"{", ["error"]),
        ("an event with a key that is not known", {"shedule": "nightly"}, ["sweeper.Usage", "did you mean `schedule`?"]),
        ("a schedule that is not there", {"schedule": "hourly"}, ["there is no schedule `hourly`", "nightly, weekly"]),
        ("a schedule that nobody named", {}, ["several schedules"]),
        ("a token that was not replaced", {"schedule": "nightly", "token": "<aws.scheduler.scheduled-time>"}, ["was not replaced"]),
        ("a token that is too long", {"schedule": "nightly", "token": "x" * 1000}, ["at most 512 bytes"]),
        ("a name with a line in it", {"schedule": "a\n\u001b[31mb"}, ["there is no schedule"]),
        ("a shard that is a number alone", {"shard": 0, "of": 2}, ["sweeper.Usage", "unknown key `of`"]),
        ("a shard without its number", {"shard": {"count": 8, "run": "night"}}, ["`index` is missing"]),
        ("a shard that is not there", {"shard": {"index": 8, "count": 8, "run": "night"}}, ["there is no shard 8 of 8"]),
        ("a shard of no run", {"shard": {"index": 0, "count": 8}}, ["`run` is a text"]),
        ("a shard that applies", {"shard": {"index": 0, "count": 8, "run": "night", "stage": "apply"}}, ["units or answers"]),
        ("a shard of a schedule", {"shard": {"index": 0, "count": 8, "run": "night"}, "schedule": "nightly"}, ["of no schedule"]),
        ("a shard without a place to meet", {"shard": {"index": 0, "count": 8, "run": "night"}}, ["SWEEPER_SHARDS_TO"]),
    ]:
        told(what, runtime.ask(event, 60), "error", says)
    check("a wrong event ends no process", function.process.poll() is None)
    check("and claims nothing", not place.claimed(state))
    function.kill()
    jsonlike("the log of wrong events is JSON with severities", function.lines())
    runtime.close()


def wrong_places():
    for what, environment, says in [
        ("a state in a file is refused", place.environment(None, "/tmp/state.db"), ["/tmp is gone"]),
        ("no state is refused", place.environment(None, None), ["in a bucket"]),
        ("a config that is not there", place.environment(None, place.state(), SWEEPER_CONFIG="/nowhere/sweeper.toml"), ["/nowhere/sweeper.toml"]),
        ("an output that is no bucket", place.environment(None, place.state(), SWEEPER_OUTPUT="/tmp/reports"), ["SWEEPER_OUTPUT"]),
        ("a bucket that does not answer", place.environment(None, place.state(), AWS_ENDPOINT_URL_S3="http://127.0.0.1:9"), ["sweeper.Damaged", "is not known"]),
    ]:
        runtime = Runtime()
        function = Function(place, runtime, environment)
        told(what, runtime.ask({"schedule": "nightly", "token": "a"}, 120), "error", says)
        function.kill()
        runtime.close()
    broken = place.file("broken.toml", "[[schedule]]\nname = 3\n")
    runtime = Runtime()
    function = Function(place, runtime, place.environment(None, place.state(), SWEEPER_CONFIG=broken))
    told("a config with mistakes is told with their lines", runtime.ask({}, 60), "error", ["sweeper.Usage", "broken.toml:"])
    function.kill()
    runtime.close()


def others():
    """What other runs left in the state, or are about to."""
    runtime, state = Runtime(), place.state()
    function = Function(place, runtime, place.environment(None, state))
    now = int(time.time())
    place.remember(state, token="a", end={"at": now, "code": 3, "called": "its-report", "done": True})
    told("what another run did is done", runtime.ask({"schedule": "nightly", "token": "a"}, 60), "response",
         ['"already-done"', '"exit": 0', '"run": "its-report"', "which ended with 3"])
    place.remember(state, token="b")
    stop = threading.Event()

    def beat():
        beats = 0
        while not stop.wait(1):
            beats += 1
            place.remember(state, token="b", beat=beats)

    beating = threading.Thread(target=beat)
    beating.start()
    told("while another run is alive, nothing is done", runtime.ask({"schedule": "nightly", "token": "b"}, 60), "response",
         ['"elsewhere"', '"exit": 7', "somebody else is at it"])
    stop.set()
    beating.join()
    place.remember(state, token="c", seen=now - 100_000)
    got = runtime.ask({"schedule": "nightly", "token": "c"}, 60)
    check("a run that was silent for long is taken over", '"another"' not in place.claimed(state), got)
    place.s3.put_object(Bucket=BUCKET, Key=place.key(state), Body=b"rubbish")
    told("a state that is damaged is an error", runtime.ask({"schedule": "nightly", "token": "d"}, 60), "error", ["sweeper.Damaged"])
    check("and stays as it was", place.claimed(state) == "rubbish")
    function.kill()
    runtime.close()


def by_hand():
    done = subprocess.run(["bootstrap"], executable=BINARY, env={}, cwd="/proc", capture_output=True, text=True, timeout=60)
    check("outside of Lambda, `bootstrap` says what it is", done.returncode == 2 and "AWS_LAMBDA_RUNTIME_API is not set" in done.stderr, done)


def runs():
    cloud = Cloud(place)
    runtime = Runtime()
    state = place.state()
    function = Function(place, runtime, place.environment(cloud, state, SWEEPER_OUTPUT=f"s3://{BUCKET}/reports/nightly"))
    first = runtime.ask({"schedule": "nightly", "token": "2026-11-27T02:00:00Z"}, 300)
    told("a run is answered", first, "response", ['"status": "done"', '"exit": 0', "7 findings"])
    calls = len(cloud.calls())
    check("it asked the cloud", calls > 0)
    reports = [each["Key"] for each in place.s3.list_objects_v2(Bucket=BUCKET, Prefix="reports/").get("Contents", [])]
    check("its report is an object of the bucket", len(reports) == 1 and reports[0].startswith("reports/nightly/report-"), reports)
    report = json.loads(place.s3.get_object(Bucket=BUCKET, Key=reports[0])["Body"].read()) if reports else {}
    check("which is whole", len(report.get("findings", [])) == 7 and report["run"]["id"] == first[1].get("run"), report.get("run"))
    again = runtime.ask({"schedule": "nightly", "token": "2026-11-27T02:00:00Z"}, 300)
    told("the same trigger does nothing", again, "response", ['"status": "already-done"', '"exit": 0'])
    check("and tells the earlier run", again[1].get("run") == first[1].get("run"), again)
    third = runtime.ask({"schedule": "nightly", "token": "2026-11-27T02:00:00Z"}, 300)
    told("nor does it the third time", third, "response", ["already-done"])
    check("nothing was asked of the cloud for those", len(cloud.calls()) == calls)
    told("another schedule has triggers of its own", runtime.ask({"schedule": "weekly", "token": "2026-11-27T02:00:00Z"}, 300), "response", ['"done"'])
    told("the next trigger runs", runtime.ask({"schedule": "nightly", "token": "2026-11-28T02:00:00Z"}, 300), "response", ['"done"'])
    told("without a token every event runs", runtime.ask({"schedule": "nightly"}, 300), "response", ['"done"'])
    told("a deadline that is over counts as none", runtime.ask({"schedule": "nightly"}, None), "response", ['"done"'])
    check("one process answered all", function.process.poll() is None)
    function.kill()
    jsonlike("the log of runs is JSON with severities", function.lines())

    fresh = Function(place, runtime, place.environment(cloud, state))
    told("a new process knows what was done", runtime.ask({"schedule": "nightly", "token": "2026-11-28T02:00:00Z"}, 300), "response", ["already-done"])
    fresh.kill()
    runtime.close()
    cloud.close()


def plans():
    """A plan and a survey of a function lie in the bucket, and are read there."""
    cloud = Cloud(place)
    policies = place.file("deleting.toml", POLICIES.replace('then = "report"', PLANNED))
    schedules = '[[schedule]]\nname = "plan"\ncron = "@weekly"\nrun = "plan"\n[[schedule]]\nname = "survey"\ncron = "@weekly"\nrun = "survey"\n'
    config = place.file("plans.toml", f'deployment = "test"\npolicies = "{policies}"\n{schedules}')
    state, output = place.state(), f"s3://{BUCKET}/plans/weekly"
    runtime = Runtime()
    nowhere = Function(place, runtime, place.environment(cloud, state, SWEEPER_CONFIG=config))
    told("a plan without a place is refused", runtime.ask({"schedule": "plan"}, 60), "error", ["needs `output`", "SWEEPER_OUTPUT"])
    check("before anybody is asked", not cloud.calls())
    nowhere.kill()
    function = Function(place, runtime, place.environment(cloud, state, SWEEPER_CONFIG=config, SWEEPER_OUTPUT=output))
    first = runtime.ask({"schedule": "plan", "token": "a"}, 300)
    told("a plan is answered with where it lies", first, "response", ['"status": "done"', f"in {output}/plan-"])
    second = runtime.ask({"schedule": "plan", "token": "b"}, 300)
    told("as is the next", second, "response", ['"status": "done"'])
    kept = runtime.ask({"schedule": "survey"}, 300)
    told("a survey is answered with where it lies", kept, "response", ['"status": "done"', f"in {output}/"])
    function.kill()
    runtime.close()
    keys = [each["Key"] for each in place.s3.list_objects_v2(Bucket=BUCKET, Prefix="plans/").get("Contents", [])]
    drawn = [key for key in keys if key.startswith("plans/weekly/plan-")]
    check("each has a name of its own", len(drawn) == 2 and len(keys) == 3, keys)
    env = place.environment(cloud, state, SWEEPER_CONFIG=config)

    def run(*arguments):
        done = subprocess.run([BINARY, *arguments], env=env, cwd="/proc", capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    for key in drawn[:1]:
        code, out, err = run("plan", "show", f"s3://{BUCKET}/{key}", "--format", "json")
        check("a plan is shown from its bucket", code == 0 and json.loads(out or "{}").get("id", "")[:12] in key, (code, err))
        code, _, err = run("approve", f"s3://{BUCKET}/{key}", "--text-by", "alice@example.com")
        check("and an approval of it is made there", code == 0, (code, err))
        place.s3.put_object(Bucket=BUCKET, Key="plans/other.json", Body=b"{}")
        code, _, err = run("approve", f"s3://{BUCKET}/plans/other.json", "--text-by", "alice@example.com")
        check("what is no plan is refused", code == 2 and "failed to read the plan" in err, (code, err))
    for key in set(keys) - set(drawn):
        code, out, err = run("report", "--survey", f"s3://{BUCKET}/{key}", "--policies", policies, "--format", "json")
        check("a survey is judged from its bucket", code == 0 and len(json.loads(out or "{}").get("findings", [])) == 7, (code, err))
    code, _, err = run("plan", "show", f"s3://{BUCKET}/plans/nothing.json")
    check("what is not there is said", code == 2 and "is not there" in err, (code, err))
    cloud.close()


def shards():
    """A map over functions: each lists its shard, and one merge makes a survey of them."""
    cloud = Cloud(place)
    state, meet = place.state(), f"s3://{BUCKET}/shards"
    environment = place.environment(cloud, state, SWEEPER_SHARDS_TO=meet)
    runtimes = [Runtime() for _ in range(3)]
    functions = [Function(place, runtime, environment) for runtime in runtimes]
    names = [runtime.send({"shard": {"index": index, "count": "3", "run": "night-1"}}, 300) for index, runtime in enumerate(runtimes)]
    for index, (runtime, name) in enumerate(zip(runtimes, names)):
        told(f"shard {index} of 3 is sealed", runtime.answer(name), "response", ['"status": "done"', '"exit": 0', f"shard {index} of 3 of run night-1 is sealed"])
    calls = len(cloud.calls())
    again = runtimes[1].ask({"shard": {"index": 1, "count": 3, "run": "night-1"}}, 300)
    told("an attempt too many is answered", again, "response", ['"done"'])
    check("and asks nothing", len(cloud.calls()) == calls)
    told("another count of the same run is refused", runtimes[0].ask({"shard": {"index": 0, "count": 4, "run": "night-1"}}, 300), "error", ["for 3 shards"])
    for function, runtime in zip(functions, runtimes):
        function.kill()
        runtime.close()
    env = place.environment(cloud, state)
    merged = f"s3://{BUCKET}/shards/survey.json"
    for arguments in (["survey", "merge", "--run", "night-1", "--from", meet, "--output", merged],
                      ["report", "--survey", merged, "--policies", str(place.path / "policies.toml"), "--format", "json"]):
        done = subprocess.run([BINARY, *arguments], env=env, cwd="/proc", capture_output=True, text=True, timeout=300)
        check(f"{' '.join(arguments[:2])} ends well", done.returncode == 0, done)
    check("together they saw everything", len(json.loads(done.stdout or "{}").get("findings", [])) == 7, done.stdout[:300])
    cloud.close()


def resumed():
    """A run that has no time leaves what it listed, and the same trigger goes on from there."""
    # One kind of the two that these policies need never answers in time.
    policies = place.file("two.toml", POLICIES + POLICIES.replace('"volumes"', '"images"').replace('"disk"', '"image"'))
    config = place.file("resumed.toml", f'deployment = "test"\npolicies = "{policies}"\n[[schedule]]\nname = "nightly"\ncron = "@daily"\n')
    slow = Cloud(place, faults='[[fault]]\naction = "DescribeImages"\nkind = "slow"\nms = 60000\n')
    quick = Cloud(place)
    runtime, state = Runtime(), place.state()
    event = {"schedule": "nightly", "token": "night"}
    first_function = Function(place, runtime, place.environment(slow, state, SWEEPER_CONFIG=config))
    first = runtime.ask(event, 12)
    told("what had no time is told, and what is kept", first, "response", ['"status": "partial"', '"exit": 3', '"resume"', '"listings"', '"until"'])
    first_function.kill()
    second_function = Function(place, runtime, place.environment(quick, state, SWEEPER_CONFIG=config))
    second = runtime.ask(event, 300)
    told("the same trigger goes on", second, "response", ['"status": "done"', '"exit": 0', "7 findings"])
    check("and does not list again what is kept", not [call for call in quick.calls() if "DescribeVolumes" in json.dumps(call)], quick.calls())
    told("then it is done", runtime.ask(event, 300), "response", ["already-done"])
    check("and nothing is kept", "resume" not in second[1], second)
    second_function.kill()
    runtime.close()
    slow.close()
    quick.close()


def deadlines():
    cloud = Cloud(place, latency=3000)
    runtime = Runtime()
    function = Function(place, runtime, place.environment(cloud, place.state()))
    got = runtime.ask({"schedule": "nightly", "token": "a"}, 5)
    told("out of time is an answer that says what was not seen", got, "response", ['"status": "partial"', '"exit": 3', "out of time"])
    function.kill()
    runtime.close()
    cloud.close()


def killed():
    slow, quick = Cloud(place, latency=4000), Cloud(place)
    runtime = Runtime()
    state = place.state()
    event = {"schedule": "nightly", "token": "night"}
    victim = Function(place, runtime, place.environment(slow, state))
    runtime.send(event, 300)
    until("the run began", lambda: place.claimed(state) and slow.calls())
    victim.kill()
    # The platform starts it again at once; the dead run's beat has to be missed first.
    second = Function(place, runtime, place.environment(quick, state))
    told("after kill -9 the same trigger runs again", runtime.ask(event, 300), "response", ['"status": "done"', '"exit": 0'])
    told("and then is done", runtime.ask(event, 300), "response", ["already-done"])
    second.kill()
    runtime.close()
    slow.close()
    quick.close()


def at_once():
    cloud = Cloud(place, latency=1500)
    state = place.state()
    runtimes = [Runtime(), Runtime()]
    functions = [Function(place, runtime, place.environment(cloud, state)) for runtime in runtimes]
    names = [runtime.send({"schedule": "nightly", "token": "night"}, 300) for runtime in runtimes]
    got = [runtime.answer(name) for runtime, name in zip(runtimes, names)]
    statuses = sorted(answer.get("status", "") for _, answer in got)
    check("of two at once one runs, and the other does nothing", all(kind == "response" for kind, _ in got)
          and statuses in (["already-done", "done"], ["done", "elsewhere"]), got)
    for function, runtime in zip(functions, runtimes):
        function.kill()
        runtime.close()
    cloud.close()


def failing():
    cloud = Cloud(place)
    state = place.state()
    event = {"schedule": "nightly", "token": "night"}
    runtime = Runtime()
    # Nobody may look at all: keys that the cloud does not know would be the same.
    faults = Cloud(place, faults='[[fault]]\nkind = "denied"\n')
    function = Function(place, runtime, place.environment(faults, state))
    got = runtime.ask(event, 60)
    check("where nothing can be seen the run is not `done`", got[0] == "error" or got[1].get("status") == "partial", got)
    function.kill()
    if got[0] == "error":
        second = Function(place, runtime, place.environment(cloud, state))
        told("what failed runs again with the same token", runtime.ask(event, 300), "response", ['"status": "done"'])
        second.kill()
    runtime.close()
    faults.close()
    cloud.close()


by_hand()
wrong_events()
wrong_places()
others()
if clouds():
    for test in (runs, plans, shards, resumed, deadlines, at_once, failing, killed):
        test()
else:
    skip("runs under the Runtime API", "this binary has no clouds")
place.close()
end()
