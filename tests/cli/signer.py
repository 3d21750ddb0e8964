"""Signs what comes on the standard input, as the command of a key service does: signer.py KEYFILE raw|base64|lie."""
import base64
import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "audit"))
sys.dont_write_bytecode = True
import verify  # noqa: E402


def encoded(at):
    inverse = pow(at[2], verify.P - 2, verify.P)
    x, y = at[0] * inverse % verify.P, at[1] * inverse % verify.P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def number(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % verify.L


private = pathlib.Path(sys.argv[1]).read_text().strip()
seed = base64.b64decode(private.removeprefix("PRIVATE+KEY+").split("+", 2)[2])[1:]
half = hashlib.sha512(seed).digest()
secret = int.from_bytes(half[:32], "little") & ((1 << 254) - 8) | 1 << 254
public = encoded(verify.times(secret, verify.BASE))
message = sys.stdin.buffer.read()
if sys.argv[2] == "lie":
    message = message.replace(b"count: 2", b"count: 9")
nonce = number(half[32:] + message)
r = encoded(verify.times(nonce, verify.BASE))
s = (nonce + number(r + public + message) * secret) % verify.L
signature = r + s.to_bytes(32, "little")
assert verify.signed(public, message, signature)
sys.stdout.buffer.write(signature if sys.argv[2] == "raw" else base64.b64encode(signature) + b"\n")
