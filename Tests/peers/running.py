#!/usr/bin/env python3
"""Moves a Linux guest that runs from one QEMU to another, through svsm-mig-save and svsm-mig-load as
the commands of `migrate exec:` and `-incoming exec:`. Started by Tests/run.

The guest (linux-init.c, in the folder that SVSM_LINUX_GUEST names) prints a tick each second and
rewrites memory, as fast as it is told. QEMU is the system's 7.2 and a 10 (SVSM_QEMU_10). After each move
registers and RAM of the two machines are equal, the guest goes on without a tick missing or twice,
and what it finds in its memory is what it wrote. The stream is recorded; the recording verifies, and
loads into the memory that the target has. QEMU 7.2 under TCG loses some pages from its log of changed
pages, also into `exec:cat`, and such a guest may crash: where it is the source the number of these pages
is said, the guest goes on only if there is none, and an SVSM that reads the memory itself has to notice.
Then moves are made to fail, each kind at several moments: never may two guests run, and the
one that is left must run on, or be said to be paused. With --failures all of that table is made, else
a part. With --measure
moves of larger guests are timed beside `exec:cat`.
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time

from check import REPOSITORY, Checks, Refused, run
from guests import Guest
from machine import STOCK, Closing, Machine, connect, until

HOST = REPOSITORY / "Tests/peers/between.py"
MEMORY = 128
# Of the source's QEMU, in bytes a second: little enough for several rounds.
BANDWIDTH = 64 << 20
RATES = {"slow": 300, "medium": 2000, "fast": 8000}
PRIVATE = {"all": "all", "half": "0x4000000-0x7ffffff", "none": "none"}


class Place:
    """A folder for everything, our tools, and a guest that has booted."""

    def __init__(self, folder, tools):
        self.folder, self.tools, self.count = folder, tools, 0
        self.qemus = {"7.2": STOCK, "10.0": os.environ["SVSM_QEMU_10"]}
        self.guest = pathlib.Path(os.environ["SVSM_LINUX_GUEST"])
        self.bases = {}

    def new(self, name):
        self.count += 1
        return self.folder / f"{self.count}-{name}"

    def machine(self, version, memory=MEMORY, incoming=True, backed=None, more=()):
        folder = self.new("machine")
        folder.mkdir()
        arguments = ["-accel", "tcg", "-display", "none", "-monitor", "none",
                     "-chardev", "socket,id=c,path=serial,server=on,wait=off,logfile=serial.log",
                     "-serial", "chardev:c", "-m", f"{memory}M", *more]
        machine = "pc-i440fx-7.2"
        if backed:
            machine += ",memory-backend=pc.ram"
            arguments += ["-object",
                          f"memory-backend-file,id=pc.ram,size={memory}M,mem-path={backed},share=on"]
        return Machine(folder, ["-M", machine, *arguments], incoming, self.qemus[version])

    def base(self, memory=MEMORY):
        """A stream of the guest a moment after it has booted."""
        if memory not in self.bases:
            boot = ["-kernel", self.guest / "kernel", "-initrd", self.guest / "initrd", "-append",
                    "console=ttyS0 quiet panic=-1 nokaslr"]
            with (self.machine("7.2", memory, False, more=[str(word) for word in boot]) as machine,
                  console(machine)):
                until(lambda: machine.serial().count("tick") >= 3, "the guest has booted")
                machine.command("stop")
                stream = machine.save(self.new("base"))
                self.bases[memory] = (stream, machine.serial())
        return self.bases[memory]

    def parties(self):
        folder = self.new("parties")
        folder.mkdir()
        for name in ("d", "other"):
            run(self.tools / "svsm-mig-prepare", "--instance", folder / f"{name}.svsm", "--output",
                folder / f"{name}.offer", "--root-out", folder / f"{name}.pem", "--quiet")
        run(self.tools / "svsm-mig-prepare", "--instance", folder / "s.svsm", "--output",
            folder / "s.offer", "--quiet")
        return folder


def console(machine):
    """A reader of a machine's console, which drops what it reads: the machine keeps it in a file. Without a
    reader QEMU waits, in the middle of a line, as soon as the buffer is full."""
    connection = connect(machine.folder / "serial")
    connection.settimeout(None)

    def drain():
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass

    threading.Thread(target=drain, daemon=True).start()
    return connection


class Move(Closing):
    """One move of the guest, made by shell commands that the two QEMUs start."""

    def __init__(self, place, versions=("7.2", "7.2"), rate=2000, private="all", backed=False,
                 memory=MEMORY, host="", plain=False, offer="d", record=None, timed=False):
        self.place, self.versions, self.rate, self.private = place, versions, rate, private
        self.memory, self.host, self.plain, self.offer = memory, host, plain, offer
        self.kill, self.timed = "", timed
        self.folder = place.parties()
        self.backed = place.new("memory") if backed else None
        self.record = record or self.folder / "recording"
        self.pipe = self.folder / "pipe"
        os.mkfifo(self.pipe)
        self.source = self.target = None

    def start(self):
        stream, self.console = self.place.base(self.memory)
        self.source = self.place.machine(
            self.versions[0], self.memory, backed=self.backed).__enter__()
        # A target whose arrival is timed runs the guest at once.
        self.target = self.place.machine(
            self.versions[1], self.memory, more=["-incoming", "defer"] if self.timed else (),
            incoming=not self.timed).__enter__()
        self.serials = [console(machine) for machine in (self.source, self.target)]
        self.source.load(stream)
        self.source.command("cont")
        self.serials[0].sendall(f"{self.rate}\n".encode())
        until(lambda: self.source.serial().count("tick") >= 2, "the guest goes on")

    def close(self):
        for machine in (self.source, self.target):
            if machine:
                machine.close()

    def commands(self):
        """What the source's QEMU and the target's start."""
        folder, tools = self.folder, self.place.tools
        if self.plain:
            return f"cat > {self.pipe}", f"cat < {self.pipe} | cat"
        memory = f"--memory pc.ram={self.backed}" if self.backed else ""
        # Each tool's peak of memory, in KiB.
        peak = (f"{sys.executable} -c 'import resource as r, subprocess as s, sys; "
                "c = s.call(sys.argv[2:]); open(sys.argv[1], \"w\").write(str("
                "r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss)); sys.exit(c)' " if self.timed else "")
        save_peak, load_peak = (f"{peak}{folder}/{tool}.peak " if peak else "" for tool in ("save", "load"))
        save = (f"{save_peak}{tools}/svsm-mig-save - --input-format qemu --live --private {self.private} {memory} "
                f"--to {folder}/{self.offer}.offer --trust {folder}/{self.offer}.pem "
                f"--from {folder}/s.svsm -o -" + ("" if self.timed else f" --record {self.record} --force"))
        load = (f"{load_peak}{tools}/svsm-mig-load - --live --output-format qemu --instance {folder}/d.svsm "
                f"--trust {folder}/d.pem -o -")
        host = f"KILL={shlex.quote(self.kill)} {sys.executable} {HOST} {self.host}" if self.host else "cat"
        return (f"{save} 2> {folder}/save.err > {self.pipe}; echo $? > {folder}/save.status",
                f"{host} < {self.pipe} | ({load} 2> {folder}/load.err; echo $? > {folder}/load.status)")

    def begin(self):
        out, into = self.commands()
        self.target.command("migrate-incoming", uri=f"exec:{into}")
        self.source.command("migrate-set-parameters", **{
            "max-bandwidth": 0 if self.timed else BANDWIDTH, "downtime-limit": 4 if self.rate < 1000 else 40})
        (self.folder / "replay.svsm").write_bytes((self.folder / "d.svsm").read_bytes())
        self.started, self.start_time = time.monotonic(), time.time()
        self.source.command("migrate", uri=f"exec:{out}")

    def complete(self):
        """Waits for the end of a move that works."""
        status = until(lambda: self.source.migration() in ("completed", "failed")
                       and self.source.migration(), "the guest has left")
        if status != "completed":
            raise Refused(f"the source's QEMU says {status}: {self.said('save')}")
        until(lambda: self.target.command("query-status")["status"] != "inmigrate",
              "the guest has arrived")
        self.seconds = time.monotonic() - self.started

    def said(self, tool):
        path = self.folder / f"{tool}.err"
        return path.read_text().strip() if path.exists() else ""

    def status(self, tool):
        path = self.folder / f"{tool}.status"
        return int(until(lambda: path.exists() and path.read_text().strip(), f"{tool} has ended"))

    def rounds(self):
        return [[int(word) for word in row[:5]] for row in re.findall(
            r"svsm-mig-save: +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) ", self.said("save"))]

    def stale(self):
        """The registers of both machines are equal, and the target's RAM is what the recording holds.
        Returns the number of pages that differ at the source, whose guest is paused."""
        self.target.has_registers(self.source.registers())
        guest = self.folder / "replayed"
        run(self.place.tools / "svsm-mig-load", self.record, "--instance",
            self.folder / "replay.svsm", "--trust", self.folder / "d.pem", "-o", guest, "--quiet")
        recorded = (guest / "ram-0.bin").read_bytes()
        stale = 0
        for begin, end in ((0, 0xA0000), (0x100000, self.memory << 20)):
            source, target = (machine.memory(begin, end - begin)
                              for machine in (self.source, self.target))
            if target != recorded[begin:end]:
                raise Refused(f"memory from {begin:#x} on is not that of the recording")
            if source != target:
                stale += sum(source[page:page + 4096] != target[page:page + 4096]
                             for page in range(0, end - begin, 4096))
        return stale

    def go_on(self):
        """The guest goes on at the target."""
        before = self.console + self.source.serial()
        self.target.command("cont")
        more = until(lambda: self.ticks(self.target, before), "the guest ticks on")
        return more

    def ticks(self, machine, before, more=3):
        ticks, sums, problem = Guest("boot").read(before + machine.serial())
        if problem:
            raise Refused(problem)
        if len(ticks) >= len(Guest("boot").read(before)[0]) + more and sums:
            return ticks
        return None


def moves(place, versions, rate, private, backed):
    with Move(place, versions, RATES[rate], PRIVATE[private], backed) as move:
        move.begin()
        move.complete()
        recording(place, move)
        stale = move.stale()
        if stale and versions[0] != "7.2":
            raise Refused(f"{stale} pages are not as the source has them")
        end = f"{stale} pages lost by QEMU" if stale else f"{len(move.go_on())} ticks"
        rounds = move.rounds()
        if len(rounds) < 3:
            raise Refused(f"{len(rounds)} rounds: {move.said('save')}")
        if sum(row[1] for row in rounds) == 0 and private != "none":
            raise Refused("no page was private")
        if move.status("save") or move.status("load"):
            raise Refused(move.said("save") + move.said("load"))
        said = "memory compared" if backed else "freshness rests"
        if private != "none" and said not in move.said("save"):
            raise Refused("the tool does not say what freshness rests on")
        again = sum(row[4] for row in rounds)
        return f"{len(rounds)} rounds, {again} pages again, {end}"


def staleness_shows(place):
    """An SVSM that reads the memory itself sends the guest, or notices what the log has lost."""
    with Move(place, rate=RATES["fast"], backed=True) as move:
        move.begin()
        until(lambda: move.source.migration() in ("completed", "failed"), "the source has ended")
        if move.status("save") == 0:
            until(lambda: move.target.command("query-status")["status"] != "inmigrate", "arrival")
            if move.stale():
                raise Refused("a stale page was sent")
            return "nothing was stale"
        if "PAGE-STALE" not in move.said("save"):
            raise Refused(move.said("save"))
        return outcome(place, move)


def recording(place, move):
    """The recording verifies, and is read as any other stream."""
    run(place.tools / "svsm-mig-verify", move.record, "--trust", move.folder / "d.pem", "--quiet")
    run(place.tools / "svsm-mig-inspect", move.record, "--json", "--quiet")


ATTACKS = [("FlipContent", "first"), ("FlipAddress", "later"), ("FlipTag", "later"), ("Drop", "later"),
           ("Twice", "first"), ("Swap", "later"), ("Replay", "later"), ("DropToken", "first"),
           ("FlipToken", "later"), ("FlipShared", "first"), ("FlipEnd", "end")]


def attacked(place, what, when):
    """A host changes the stream: no guest arrives, and the source's is left."""
    with Move(place, host=f"{what} {when}") as move:
        move.begin()
        note = outcome(place, move)
        if "arrived" in note or "load 0" in note:
            raise Refused(note)
        return note


def catalogue(place):
    """Every attack of the catalogue on a recording of a live migration: none is accepted."""
    folder = REPOSITORY / "Fixtures/live"
    rows = run(place.tools / "svsm-mig-attack", "--matrix", folder / "recording.mig", "--instance",
               folder / "destination.svsm", "--trust", folder / "root.pem")
    return rows.decode().strip().splitlines()[-1]


FAILURES = ([("a bit of the stream is changed", when) for when in ("first", "later", "end")]
            + [(f"the {what} is killed", when) for what in
               ("source's tool", "target's tool", "source's QEMU", "target's QEMU")
               for when in ("first", "later", "end")]
            + [("the stream is cut", when) for when in ("first", "later", "end")]
            + [("a page comes from an earlier round", "later"), ("a token is lost", "first"),
               ("a token is lost", "later"), ("shared memory is changed", "first"),
               ("the offer is another destination's", "start"),
               ("the disk of the recording is full", "first")])
# Those that Tests/run makes.
SAMPLE = [("the source's tool is killed", "later"), ("the target's tool is killed", "end"),
          ("the target's QEMU is killed", "first"), ("the source's QEMU is killed", "later"),
          ("the stream is cut", "end"), ("the offer is another destination's", "start"),
          ("the disk of the recording is full", "first")]
HOSTS = {"a bit of the stream is changed": "FlipContent", "the stream is cut": "Cut",
         "a page comes from an earlier round": "Replay", "a token is lost": "DropToken",
         "shared memory is changed": "FlipShared"}


def fails(place, what, when):
    """One cell of the table of failures. Returns where the guest is, and what the tools say."""
    options = {}
    if what.endswith("killed"):
        options["host"] = f"Kill {when}"
    elif what in HOSTS:
        options["host"] = f"{HOSTS[what]} {when}"
    elif "offer" in what:
        options["offer"] = "other"
    else:
        options["record"] = "/dev/full"
    with Move(place, **options) as move:
        move.kill = {
            "the source's tool is killed": f"pkill -KILL -f '^{place.tools}/svsm-mig-save .*{move.folder}'",
            "the target's tool is killed": f"pkill -KILL -f '^{place.tools}/svsm-mig-load .*{move.folder}'",
            "the source's QEMU is killed": f"kill -KILL {move.source.process.pid}",
            "the target's QEMU is killed": f"kill -KILL {move.target.process.pid}",
        }.get(what, "")
        move.begin()
        return outcome(place, move)


def outcome(place, move):
    statuses = [move.status(tool) for tool in ("save", "load")]
    arrived = decision(move.target)
    has_arrived = arrived not in ("none", "shutdown", "inmigrate")
    line = next((row.split(": ", 1)[1] for tool in ("save", "load") for row in move.said(tool).splitlines()
                 if " refused [" in row or " failed [" in row), "")
    note = f"save {statuses[0]}, load {statuses[1]}"
    if arrived == "inmigrate":
        # The tool could not tell it that nothing comes.
        if statuses[1] < 128:
            raise Refused(f"the target waits in vain: {note}")
        note += ", the target waits in vain"
    if has_arrived:
        # The guest was handed over before the failure: the target alone may run it.
        if statuses[0] != 0 and "may have issued its commit" not in move.said("save"):
            raise Refused(f"two guests: {note}: {line}")
        return f"the guest has arrived, {note}"
    source = until(lambda: state(move.source) in ("running", "postmigrate", "none") and state(move.source),
                   "the source decides")
    if source == "none":
        return f"the guest has gone with its QEMU, {note}: {line}"
    if source == "postmigrate":
        if statuses[0] == 0 or "may have issued its commit" in move.said("save"):
            bring_back(place, move)
            note += ", brought back by the abort"
        move.source.command("cont")
    before = len(Guest("boot").read(move.console + move.source.serial())[0])
    until(lambda: len(move.ticks(move.source, move.console) or []) >= before + 2,
          "the source's guest runs on")
    return f"source {source}, {note}: {line}"


def decision(machine):
    """What a target does when its stream has ended. One that has got no byte waits on, and can never run
    the guest."""
    end = time.monotonic() + 10
    while state(machine) == "inmigrate" and time.monotonic() < end:
        time.sleep(0.1)
    return state(machine)


def bring_back(place, move):
    """The destination gives the migration up for good, and the source takes its guest back."""
    abort, parties = move.folder / "abort", move.folder
    run(place.tools / "svsm-mig-load", move.record, "--abort", "--instance", parties / "d.svsm", "-o", abort)
    run(place.tools / "svsm-mig-save", "--resume-after", abort, "--from", parties / "s.svsm")


def state(machine):
    """What a machine is doing; `none` when it has ended."""
    try:
        return machine.command("query-status")["status"]
    except (Refused, OSError, ValueError):
        return "none"


def show(place):
    """One move for people to watch: consoles, rounds, the recording."""
    def step(text):
        print(f"\n== {text}", flush=True)

    def lines(text, count):
        return "\n".join(text.replace("\r", "").strip().split("\n")[-count:])

    step(f"A guest: Linux with {MEMORY} MiB of memory boots in QEMU 7.2, and is saved to be run in any QEMU")
    place.base()
    with Move(place, ("10.0", "10.0"), RATES["medium"], PRIVATE["all"], backed=True) as move:
        step(f"It runs in QEMU 10, ticks, and rewrites {RATES['medium']} pages a second")
        until(lambda: move.ticks(move.source, move.console), "three ticks")
        print(lines(move.source.serial(), 4))
        step("Another QEMU 10 waits. Each is told one command")
        shown = [text.replace(str(move.folder) + "/", "").replace(str(place.tools) + "/", "")
                 for text in move.commands()]
        print(f"$ migrate-incoming exec:{shown[1].split('(')[1].split(' 2>')[0]}")
        print(f"$ migrate exec:{shown[0].split(' 2>')[0].strip()}")
        move.begin()
        move.complete()
        step("What the source's tool said")
        print(move.said("save"))
        step("Registers and memory of the two machines, and of the recording, against each other")
        stale = move.stale()
        if stale:
            raise Refused(f"{stale} pages differ")
        print("equal")
        step("The console at the source, to its last character")
        print(lines(move.source.serial(), 3))
        step("and at the target, from its first")
        move.go_on()
        print("\n".join(move.target.serial().replace("\r", "").split("\n")[:4]))
        step("The recording")
        print("$ svsm-mig-verify recording --trust d.pem")
        print(lines(run(place.tools / "svsm-mig-verify", move.record, "--trust",
                        move.folder / "d.pem").decode(), 3))


def measure(place, repeats):
    """Downtime and total time beside `exec:cat`, and the tools' peaks of memory."""
    print("| memory | by way of | downtime, QEMU's | STOP to RESUME | total | save's, load's peak | comparing |")
    print("|---|---|---|---|---|---|---|")
    for memory in (256, 1024, 2048):
        rows = {"`exec:cat`": [], "our tools": [], "our tools, `--memory`": []}
        for _ in range(repeats):
            for name, found in rows.items():
                found.append(timed(place, memory, plain=name == "`exec:cat`",
                                   backed="--memory" in name))
        for name, found in rows.items():
            middle = [sorted(column)[len(found) // 2] if None not in column else "" for column in zip(*found)]
            times = " | ".join(f"{value} ms" for value in middle[:3])
            peaks = f"{middle[3]}, {middle[4]} MiB" if middle[3] else ""
            compared = f"{middle[5]} ms" if middle[5] else ""
            print(f"| {memory} MiB | {name} | {times} | {peaks} | {compared} |", flush=True)


def timed(place, memory, plain, backed):
    with Move(place, ("10.0", "10.0"), RATES["slow"], memory=memory, plain=plain, backed=backed,
              timed=True) as move:
        move.begin()
        until(lambda: move.source.migration() in ("completed", "failed"), "the guest has left")
        until(lambda: move.target.command("query-status")["status"] == "running", "the guest has arrived")
        facts = move.source.command("query-migrate")
        if facts["status"] != "completed":
            raise Refused(move.said("save"))
        until(lambda: move.source.moment("STOP") and move.target.moment("RESUME"), "both events")
        gap = round(1000 * (move.target.moment("RESUME") - move.source.moment("STOP")))
        total = round(1000 * (move.target.moment("RESUME") - move.start_time))
        if plain:
            return facts["downtime"], gap, total, None, None, None
        peaks = []
        for tool in ("save", "load"):
            path = move.folder / f"{tool}.peak"
            until(lambda path=path: path.exists() and path.read_text(), "a peak")
            peaks.append(int(path.read_text()) >> 10)
        compared = re.search(r"compared with what was sent in (\d+) ms", move.said("save"))
        return facts["downtime"], gap, total, *peaks, int(compared[1]) if compared else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="folder of our tools")
    parser.add_argument("--failures", action="store_true", help="all of the table of failures")
    parser.add_argument("--show", action="store_true", help="make one move, for people")
    parser.add_argument("--measure", type=int, metavar="N", help="time N moves of each kind")
    parser.add_argument("--only", help="checks whose promise contains this")
    options = parser.parse_args()
    checks = Checks()

    def check(promise, action, *arguments):
        if options.only is None or options.only in promise:
            checks.check(promise, action, *arguments)

    with tempfile.TemporaryDirectory() as folder:
        place = Place(pathlib.Path(folder), options.tools.absolute())
        if options.show:
            return show(place)
        if options.measure:
            return measure(place, options.measure)
        for versions, rate, private, backed in [
                (("7.2", "7.2"), "slow", "all", False), (("10.0", "10.0"), "medium", "all", True),
                (("10.0", "10.0"), "slow", "none", False), (("10.0", "10.0"), "fast", "half", True),
                (("7.2", "10.0"), "fast", "all", False), (("7.2", "7.2"), "medium", "half", False)]:
            memory = ", memory read by the SVSM" if backed else ""
            check(f"a guest moves while it runs: {versions[0]} to {versions[1]}, {rate}, "
                  f"private {private}{memory}", moves, place, versions, rate, private, backed)
        check("an SVSM that reads the memory itself notices what QEMU's log has lost",
              staleness_shows, place)
        for what, when in FAILURES if options.failures else SAMPLE:
            check(f"while a guest moves {what}, {when}: one guest is left", fails, place, what, when)
        check("every attack of the catalogue on a recording is refused", catalogue, place)
        for what, when in ATTACKS:
            check(f"a live stream is changed, {what} {when}: the source's guest is left",
                  attacked, place, what, when)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0 or checks.passed == 0


if __name__ == "__main__":
    sys.exit(main())
