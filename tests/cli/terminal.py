"""Runs a program in a terminal of its own: terminal.py COLUMNS ROWS STEPS PROGRAM ARGUMENT…

STEPS is JSON: [what is waited for on the screen, what is typed then]…; typed `SIGTERM` sends that. Prints all that was
written, says whether the terminal is as it was before, and ends with the program's code."""
import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time



class Screen:
    """As much of a terminal as is needed to read what stands on it: letters, line ends, moves and clearing."""

    def __init__(self, columns, rows):
        self.columns, self.rows, self.x, self.y = columns, rows, 0, 0
        self.cells = [[" "] * columns for _ in range(rows)]

    def write(self, text):
        for move, letter in re.findall(r"\x1b\[([?\d;]*[a-zA-Z])|(.)", text, re.DOTALL):
            if move.endswith("H"):
                y, x = (move[:-1] or "1;1").split(";")
                self.x, self.y = int(x) - 1, int(y) - 1
            elif move in ("2J", "?1049l"):
                self.cells = [[" "] * self.columns for _ in range(self.rows)]
            elif letter == "\r":
                self.x = 0
            elif letter == "\n":
                self.y = min(self.y + 1, self.rows - 1)
            elif letter and self.x < self.columns and self.y < self.rows:
                self.cells[self.y][self.x] = letter
                self.x += 1

    def text(self):
        return "\n".join("".join(row) for row in self.cells)


columns, rows, steps = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
child, terminal = pty.fork()
if child == 0:
    # The size and the settings are there before the program looks.
    time.sleep(0.2)
    os.execvp(sys.argv[4], sys.argv[4:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
before = termios.tcgetattr(terminal)
seen, screen, deadline = b"", Screen(columns, rows), time.monotonic() + 60
decoder = codecs.getincrementaldecoder("utf-8")("replace")
after = None
while True:
    if time.monotonic() > deadline:
        print(screen.text())
        os.kill(child, signal.SIGKILL)
        sys.exit(f"it did not go on: {steps}")
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
        screen.write(decoder.decode(data))
    # Looked at while the program still has it: the last that is seen is how it was left.
    try:
        after = termios.tcgetattr(terminal)
    except termios.error:
        pass
    # What was written is whole when nothing more is ready.
    if not ready and steps and steps[0][0] in screen.text():
        typed = steps.pop(0)[1]
        if typed == "SIGTERM":
            os.kill(child, signal.SIGTERM)
        else:
            os.write(terminal, typed.encode())
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(seen)
print(f"\nrestored: {after == before}, steps left: {len(steps)}")
sys.exit(os.waitstatus_to_exitcode(status) & 255)
