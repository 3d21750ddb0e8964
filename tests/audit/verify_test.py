#!/usr/bin/env python3
"""Holds the independent verifier to a log that sweeper wrote: a fixture that must be readable for ever, and damage."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
SAMPLE = HERE / "v1"
KEY = (SAMPLE / "public-key").read_text().strip()
passed = failed = 0


def check(name, directory, good, key=KEY, says=""):
    global passed, failed
    ran = subprocess.run([sys.executable, HERE / "verify.py", directory, key], capture_output=True, text=True)
    if (ran.returncode == 0) == good and says in ran.stdout:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {ran.returncode}\n{ran.stdout}{ran.stderr}")


def spoiled(name, change, says):
    with tempfile.TemporaryDirectory() as directory:
        copy = pathlib.Path(directory) / "log"
        shutil.copytree(SAMPLE, copy)
        segment = copy / "seg" / "000000000000.jsonl"
        segment.write_bytes(change(segment.read_bytes()))
        check(name, copy, False, says=says)


def lines(change):
    def changed(text):
        all_lines = text.splitlines(keepends=True)
        change(all_lines)
        return b"".join(all_lines)

    return changed


check("the log as it was written", SAMPLE, True, says="sound")
spoiled("an edit", lambda text: text.replace(b"volume", b"Volume", 1), "line")
spoiled("a removal", lines(lambda all_lines: all_lines.pop(2)), "line 3")
spoiled("a swap", lines(lambda all_lines: all_lines.insert(1, all_lines.pop(2))), "line 2")
spoiled("an insertion", lines(lambda all_lines: all_lines.insert(4, all_lines[0])), "line 5")
spoiled("a truncation", lines(lambda all_lines: all_lines.pop()), "the log ends at")
spoiled("a torn line", lambda text: text[:-3], "not whole")
other = KEY.split("+")
check("another key", SAMPLE, False, key="+".join([other[0], other[1], other[2]]).replace(other[0], "somebody.else"))
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
