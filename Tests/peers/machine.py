"""A stock QEMU under TCG, driven over QMP, and the software TPM behind it.

Both die with the thread that started them, however that ends (setpriv). Sockets are in the folder
a process works in and are named by relative paths, which are short enough everywhere.
"""

import array
import json
import os
import pathlib
import re
import selectors
import shlex
import socket
import struct
import subprocess
import sys
import time

from check import Refused, run

# Bound for a single thing to happen; on an idle machine each takes a second or two.
PATIENCE = 90
# The system's.
STOCK = "qemu-system-x86_64"
# The kernel kills the child when its parent is gone.
BOUND = ["setpriv", "--pdeathsig", "KILL"]


def until(condition, what):
    """Waits for a condition to be true, and returns what it gave."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end:
            raise Refused(f"not within {PATIENCE} seconds: {what}")
        time.sleep(0.05)
    return found


class Closing:
    """Something that starts where a `with` begins, and is closed at its end, also where it does not
    start."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()


class Machine(Closing):
    """One QEMU process, which works in a folder that exists. It waits for a stream, and pauses
    then, if `incoming`; else it boots."""

    def __init__(self, folder, arguments, incoming=False, program=STOCK):
        self.folder, self.buffer, self.events = folder, b"", []
        self.errors = folder / "errors"
        command = [*BOUND, program, *arguments, "-qmp", "stdio"]
        if incoming:
            command += ["-S", "-incoming", "defer"]
        with self.errors.open("wb") as errors:
            # Not buffered: nothing is left to write when it has ended.
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=errors, bufsize=0)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def start(self):
        self.line()
        self.command("qmp_capabilities")

    def close(self):
        """Ends it without asking it to put anything in order."""
        self.process.kill()
        self.process.wait()
        self.selector.close()
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self):
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.buffer:
            if not self.selector.select(max(0, end - time.monotonic())):
                raise Refused("QEMU says nothing")
            received = os.read(self.process.stdout.fileno(), 65536)
            if not received:
                said = self.errors.read_text(errors="replace").strip().splitlines()
                raise Refused(f"QEMU ends: {said[0] if said else f'status {self.process.wait(PATIENCE)}'}")
            self.buffer += received
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        try:
            self.process.stdin.write(
                json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        except BrokenPipeError:
            pass  # The next line read says why it ended.
        while True:
            reply = self.line()
            if "error" in reply:
                raise Refused(f"{name}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]
            self.events.append(reply)

    def moment(self, event):
        """When an event last came, in seconds, by QEMU's clock; None before it came."""
        times = [found["timestamp"] for found in self.events if found.get("event") == event]
        return times[-1]["seconds"] + times[-1]["microseconds"] / 1e6 if times else None

    def monitor(self, line):
        return self.command("human-monitor-command", **{"command-line": line})

    def load(self, stream, capabilities=()):
        """Loads a stream. A refusal of QEMU's is its end."""
        self.command("migrate-set-capabilities",
                     capabilities=[{"capability": name, "state": True} for name in capabilities])
        # A stream of the capability mapped-ram is not read from its beginning to its end.
        uri = (f"file:{stream}" if "mapped-ram" in capabilities
               else f"exec:cat {shlex.quote(str(stream))}")
        self.command("migrate-incoming", uri=uri)
        # While it is loading it says so; a paused machine has loaded all.
        until(lambda: self.command("query-status")["status"] != "inmigrate", "a stream is loaded")
        if self.command("query-migrate").get("status") != "completed":
            raise Refused("QEMU did not load the stream")

    def save(self, stream):
        """Saves a guest that is stopped."""
        self.command("migrate", uri=f"exec:cat > {shlex.quote(str(stream))}")
        status = until(lambda: self.migration() in ("completed", "failed") and self.migration(),
                       "a stream is saved")
        if status != "completed":
            raise Refused("QEMU did not save")
        return stream

    def migration(self):
        return self.command("query-migrate").get("status")

    def registers(self):
        return self.monitor("info registers -a").replace("\r", "")

    def has_registers(self, text):
        """Its registers are those of a guest that was saved."""
        for new, old in zip(self.registers().split("\n"), text.split("\n"), strict=True):
            if old.rstrip() != new.rstrip():
                raise Refused(f"registers: {new.strip()}, not {old.strip()}")

    def serial(self):
        """What the guest has printed so far (`-serial file:serial.log`)."""
        path = self.folder / "serial.log"
        return path.read_text("latin-1") if path.exists() else ""

    def memory(self, address, size, command="pmemsave"):
        """Bytes of guest-physical memory, read through the monitor."""
        self.command(command, val=address, size=size, filename="memory")
        path = self.folder / "memory"
        try:
            return path.read_bytes()
        finally:
            path.unlink()


class TPM(Closing):
    """An swtpm process with a TPM 2.0 that has never been used."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            [*BOUND, "swtpm", "socket", "--tpm2", "--tpmstate", "dir=.",
             "--ctrl", "type=unixio,path=control", "--flags", "not-need-init,startup-clear"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def start(self):
        until(self.listens, "swtpm listens")

    def close(self):
        self.process.kill()
        self.process.wait()

    def listens(self):
        if self.process.poll() is not None:
            raise Refused("swtpm ends")
        try:
            connect(self.folder / "control").close()
        except OSError:
            return False
        return True

    def arguments(self, device):
        """QEMU's, for a machine in a folder beside this one."""
        return ["-chardev", f"socket,id=tpm,path=../{self.folder.name}/control",
                "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", f"{device},tpmdev=tpm"]

    def tool(self, *command):
        """Runs a program of tpm2-tools on this TPM; no QEMU may be connected."""
        # Its swtpm transport wants a TCP port or socket that QEMU does not use; this one goes
        # through the socket that QEMU uses, so that it talks to the TPM that QEMU leaves behind.
        here = shlex.quote(str(pathlib.Path(__file__).resolve()))
        transport = f"cmd:exec {shlex.quote(sys.executable)} {here} control"
        return run("env", "-C", self.folder, f"TPM2TOOLS_TCTI={transport}", *command)

    def pcrs(self):
        """The values of all PCRs of the SHA-256 bank, by number."""
        text = self.tool("tpm2_pcrread", "sha256").decode()
        return {int(number): bytes.fromhex(value)
                for number, value in re.findall(r"(\d+) *: 0x([0-9A-F]{64})", text)}


def connect(path):
    """Connects to a Unix socket, however long its path is."""
    folder = os.open(path.parent, os.O_RDONLY)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def relay(path):
    """Passes TPM commands from standard input to an swtpm, and its answers to standard output.
    As tpm2-tools' transport `cmd` wants it. Like QEMU, it hands swtpm one end of a socket pair."""
    set_data_fd = struct.pack(">I", 16)
    commands, answers = open(0, "rb", buffering=0), open(1, "wb", buffering=0)
    with connect(path) as channel:
        ours, theirs = socket.socketpair()
        channel.sendmsg([set_data_fd], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                         array.array("i", [theirs.fileno()]))])
        theirs.close()
        if channel.recv(4) != bytes(4):
            raise Refused("swtpm takes no connection")
        data = ours.makefile("rwb", buffering=0)
        while command := message(commands):
            data.write(command)
            answers.write(message(data))


def message(file):
    """One TPM command or response, by the length in it; empty at the end."""
    whole, wanted = b"", 10
    while len(whole) < wanted:
        received = file.read(wanted - len(whole))
        if not received:
            return b""
        whole += received
        if len(whole) == 10:
            wanted = int.from_bytes(whole[2:6], "big")
    return whole


if __name__ == "__main__":
    relay(pathlib.Path(sys.argv[1]).absolute())
