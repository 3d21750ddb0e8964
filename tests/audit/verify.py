#!/usr/bin/env python3
"""Verifies a sweeper audit log with nothing of sweeper's own: Python's standard library alone.

    verify.py LOG-DIRECTORY PUBLIC-KEY...

A public key is `<name>+<id>+<base64>`, as `sweeper approve --new-key` and the log's owner give it. Checks that every line
names the hash of the one before (SHA-256 of its exact bytes), that numbers have no gap, that every signed head is a
good Ed25519 signature over the Merkle root (RFC 6962) of the lines below it, and that the newest head covers
everything. Ends with 0 when all of that holds, with 1 when not, and says what and where.
"""
import base64
import hashlib
import json
import pathlib
import sys

# Ed25519, RFC 8032, by the book: slow and short.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * I % P
    if (x * x - xx) % P:
        return None
    return P - x if x & 1 != sign else x


def point(encoded):
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = recover_x(y, sign) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(number, at):
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, at)
        at, number = add(at, at), number >> 1
    return total


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def signed(public, message, signature):
    if len(signature) != 64:
        return False
    key, r = point(public), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def read_key(text):
    name, number, data = text.split("+", 2)
    raw = base64.b64decode(data)
    if raw[0] != 1 or len(raw) != 33:
        raise ValueError(f"{text}: not an Ed25519 key")
    want = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex()
    if want != number:
        raise ValueError(f"{text}: the id is not the key's")
    return name, bytes.fromhex(number), raw[1:]


def root(peaks):
    """The RFC 6962 root of the complete subtrees, largest first."""
    if not peaks:
        return hashlib.sha256(b"").digest()
    total = peaks[-1][1]
    for _, digest in reversed(peaks[:-1]):
        total = hashlib.sha256(b"\x01" + digest + total).digest()
    return total


def push(peaks, line):
    peaks.append((1, hashlib.sha256(b"\x00" + line).digest()))
    while len(peaks) > 1 and peaks[-1][0] == peaks[-2][0]:
        (size, right), (_, left) = peaks.pop(), peaks.pop()
        peaks.append((2 * size, hashlib.sha256(b"\x01" + left + right).digest()))


def head(note, keys):
    """Size and root that a note's signer vouches for."""
    text, _, signatures = note.partition(b"\n\n")
    text += b"\n"
    good = False
    for line in signatures.splitlines():
        dash, name, data = line.decode().split(" ")
        raw = base64.b64decode(data)
        for known, number, public in keys:
            if dash == "—" and name == known and raw[:4] == number:
                if not signed(public, text, raw[4:]):
                    raise ValueError(f"the signature of {name} does not hold")
                good = True
    if not good:
        raise ValueError("no key that was given signed it")
    origin, size, digest = text.decode().splitlines()[:3]
    return origin, int(size), base64.b64decode(digest)


def verify(directory, keys):
    problems, heads, origins = [], {}, set()
    names = [path for path in sorted((directory / "checkpoint").glob("*")) if path.suffix != ".new"]
    for path in names + [directory / "latest"]:
        try:
            origin, size, digest = head(path.read_bytes(), keys)
            origins.add(origin)
            heads.setdefault(size, set()).add(digest)
        except (OSError, ValueError) as error:
            problems.append(f"{path.name}: {error}")
    peaks, previous, count = [], "0" * 64, 0
    matched = set()
    if hashlib.sha256(b"").digest() in heads.get(0, ()):
        matched.add(0)
    for path in sorted((directory / "seg").glob("*.jsonl")):
        if int(path.stem) != count:
            problems.append(f"{path.name}: begins at {int(path.stem)}, and event {count} is due")
        lines = path.read_bytes().split(b"\n")
        if lines.pop():
            problems.append(f"{path.name}: its last line is not whole")
        for number, line in enumerate(lines, 1):
            where = f"{path.name} line {number}"
            try:
                event = json.loads(line)
                if event["seq"] != count:
                    problems.append(f"{where}: event {event['seq']}, and {count} is due")
                if event["prev"] != previous:
                    problems.append(f"{where}: does not follow from the line before")
                if origins and not any(origin.startswith(f"sweeper/{event['deployment']}/") for origin in origins):
                    problems.append(f"{where}: of another deployment, {event['deployment']}")
            except (ValueError, KeyError, TypeError) as error:
                problems.append(f"{where}: no event: {error!r}")
            previous = hashlib.sha256(line).hexdigest()
            push(peaks, line)
            count += 1
            if count in heads:
                if heads[count] == {root(peaks)}:
                    matched.add(count)
                else:
                    problems.append(f"{where}: the signed head at {count} is of other lines")
    for size in sorted(set(heads) - matched):
        if size > count:
            problems.append(f"the log ends at {count}, and a head is signed over {size}")
    if not heads:
        problems.append("no signed head")
    elif max(heads) < count:
        print(f"note: events {max(heads)} to {count - 1} are under no signed head yet")
    return count, problems


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    count, problems = verify(pathlib.Path(sys.argv[1]), [read_key(text) for text in sys.argv[2:]])
    for problem in problems:
        print(problem)
    print(f"{count} events: {'DAMAGED' if problems else 'sound'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
