"""QEMU, stopped before its first instruction, migrates the same memory to a file or to nowhere."""

import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import time

from child import Clock, Failed
from machine import HERTZ, MIB

PROGRAM = "qemu-system-x86_64"
# The program of a QEMU 10 that Tests/bench/run gets.
PROGRAM_10 = os.environ.get("SVSM_QEMU_10")
PATIENCE = 600
CHANNELS = 2


@dataclasses.dataclass
class Way:
    """How a QEMU migrates to a file; `uri` has a place for its path."""
    name: str
    program: str
    uri: str
    capabilities: tuple = ()
    parameters: dict = dataclasses.field(default_factory=dict)


CAT = Way("QEMU, migrate exec:cat > file", PROGRAM, "exec:cat > {}")
TEN = {
    "file": Way("QEMU 10, migrate file:", PROGRAM_10, "file:{}"),
    "mapped": Way("QEMU 10, mapped-ram", PROGRAM_10, "file:{}", ("mapped-ram",)),
    # QEMU writes past the cache from its multifd channels only.
    "direct": Way("QEMU 10, mapped-ram, direct-io", PROGRAM_10, "file:{}",
                  ("mapped-ram", "multifd"),
                  {"direct-io": True, "multifd-channels": CHANNELS}),
}


def version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0]


class Machine:
    """One QEMU process. It can migrate once: QEMU refuses a second time."""

    def __init__(self, ram, size, folder, way=CAT):
        """Memory has the content of the file `ram`. It is anonymous memory, as a guest's usually
        is, all there before any clock runs; the file is not changed."""
        self.way = way
        self.path = os.path.join(folder, "qmp")
        self.messages = open(os.path.join(folder, "qemu.log"), "w+b")
        self.process = subprocess.Popen(
            [way.program, "-machine", "pc,memory-backend=ram", "-m", f"{size // MIB}M",
             "-object", f"memory-backend-file,id=ram,size={size},mem-path={ram},share=off,"
                        "prealloc=on",
             "-accel", "tcg", "-S", "-nodefaults", "-display", "none",
             "-qmp", f"unix:{self.path},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=self.messages, stderr=self.messages)
        try:
            self.connect()
        except BaseException:
            self.stop()
            raise

    def connect(self):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.socket.connect(self.path)
                break
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{self.way.program} did not start: {self.said()}") from error
                time.sleep(0.02)
        self.lines = self.socket.makefile("rb")
        self.receive()  # the greeting
        self.call("qmp_capabilities")
        # Without a limit: both of its own are far above what any machine can do.
        self.call("migrate-set-parameters", {"max-bandwidth": 1 << 44})
        # It tells when it is done, and need not be asked.
        self.call("migrate-set-capabilities", {"capabilities": [
            {"capability": name, "state": True} for name in ("events", *self.way.capabilities)]})
        if self.way.parameters:
            self.call("migrate-set-parameters", self.way.parameters)

    def said(self):
        self.messages.seek(0)
        return self.messages.read().decode(errors="replace").strip()

    def receive(self):
        line = self.lines.readline()
        if not line:
            raise Failed(f"{self.way.program} went away: {self.said()}")
        return json.loads(line)

    def call(self, command, arguments=None):
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        self.socket.sendall(json.dumps(request).encode())
        while True:
            answer = self.receive()
            if "error" in answer:
                raise Failed(f"QEMU refuses {command}: {answer['error'].get('desc')}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer)

    def processor(self):
        """Seconds QEMU and the programs it started and waited for have used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / HERTZ

    def processor_at_end(self):
        """The same, once the programs that QEMU started have ended; it says that it is done before."""
        threads, end = pathlib.Path(f"/proc/{self.process.pid}/task"), time.monotonic() + PATIENCE
        while any(path.read_text().strip() for path in threads.glob("*/children")):
            if time.monotonic() > end:
                raise Failed("what QEMU started does not end")
            time.sleep(0.01)
        return self.processor()

    def migrate(self, target):
        """Measures from the command to QEMU's word that all is done. `target`: the file."""
        before = self.processor()
        clock = Clock()
        self.call("migrate", {"uri": self.way.uri.format(target)})
        status = None
        while status not in ("completed", "failed", "cancelled"):
            event = self.events.pop(0) if self.events else self.receive()
            if event.get("event") == "MIGRATION":
                status = event["data"]["status"]
        measured = clock.stop(lambda: self.processor_at_end() - before)
        if status != "completed":
            raise Failed(f"QEMU's migration {status}: {self.said()}")
        return measured

    def total_time(self):
        """Seconds, as QEMU itself counts them; it does so a moment after it says it is done."""
        end = time.monotonic() + PATIENCE
        while True:
            total = self.call("query-migrate")["total-time"]
            if total:
                return total / 1000
            if time.monotonic() > end:
                raise Failed("QEMU does not say how long its migration took")
            time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.lines.close()
        self.socket.close()
        self.messages.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
