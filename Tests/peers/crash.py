#!/usr/bin/env python3
"""Kills real saves, loads, aborts and resumes at every step that the disk can see, with strace, and looks
at what is left. Started by Tests/run.

For each system call of a list and each N the N-th of these calls is where the program dies, with
SIGKILL before the call is made, until a run has no N-th call and ends well; and where some of the calls
fail, as on a broken disk, or bring SIGTERM, on which a program cleans up. Whatever was left must be
a state of Formats/migration-data.md, section 4: never a guest that both sides may run, and never one
that neither has unless the next call says so. Then the program is called again, and must end well or
say what to do; and what it says is done.
"""

import argparse
import concurrent.futures
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

# Everything that makes, fills, locks, names or removes a file. Reading leaves nothing.
CALLS = ["fsync", "rename", "renameat2", "flock", "mkdir", "ftruncate", "write", "pwrite64", "writev",
         "pwritev", "unlink", "rmdir"]
STAGES = ["ready", "exported", "imported", "restoring", "aborted", "resumed"]
OPTIONS = ["--trust", "root.pem", "--quiet"]


class Wrong(Exception):
    """A crash left what must not be."""


def require(truth, what):
    if not truth:
        raise Wrong(what)


class Place:
    """A folder of its own, copied from a prepared one, with the tools working in it."""

    def __init__(self, tools, pattern, folder):
        self.tools, self.folder = tools, folder
        shutil.copytree(pattern, folder)

    def command(self, line):
        tool, *words = line.split()
        return [str(self.tools / f"svsm-mig-{tool}"), *words]

    def run(self, line):
        return subprocess.run(self.command(line), cwd=self.folder, capture_output=True, timeout=60)

    def must(self, line):
        done = self.run(line)
        require(done.returncode == 0, f"`{line}`: {done.stderr.decode()}")

    def refused(self, line, code, saying=""):
        said = self.run(line).stderr.decode()
        require(f"[{code}]" in said and saying in said, f"`{line}` does not say {code}: {said}")

    def killed(self, line, call, number, sent):
        """Runs `line` and ends it at a call. False when it has no such call and ends well."""
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
             "-e", f"inject={call}:{sent}:when={number}", *self.command(line)],
            cwd=self.folder, capture_output=True, timeout=60)
        if done.returncode == 0:
            return False
        # strace ends as the program does: by the signal, or as tools end that cannot write.
        ended = {-signal.SIGKILL, -signal.SIGTERM, 73, 74}
        require(done.returncode in ended, f"strace: {done.stderr.decode()}")
        return True

    def stage(self, name):
        """The stage in an instance file, which must be whole and its owner's alone."""
        path = self.folder / name
        require(path.stat().st_mode & 0o777 == 0o600, f"{name} can be read by others")
        said = self.run(f"verify stream.mig --instance {name} --trust root.pem").stderr
        require(b"[INSTANCE-SYNTAX]" not in said, f"{name} is broken: {said.decode()}")
        return STAGES[int.from_bytes(path.read_bytes()[12:16], "big")]

    def has(self, name):
        return (self.folder / name).exists()

    def hidden(self, name):
        return sorted(self.folder.glob(f".{name}.partial-*"))

    def same(self, name, other):
        done = subprocess.run(["diff", "-rq", name, other], cwd=self.folder, capture_output=True)
        require(done.returncode == 0, f"{name} is not {other}: {done.stdout.decode()}")


def after_save(place, line):
    """The source of `stream`. Its destination is there and has not heard of it."""
    stage = place.stage("source.svsm")
    if stage == "ready":
        require(not place.has("made.mig"), "a stream has its name, and the source may run")
        for rest in place.hidden("made.mig"):
            done = place.run(f"load {rest.name} --instance other.svsm -o rest {' '.join(OPTIONS)}")
            require(done.returncode != 0, "a stream loads, and the source may run")
        place.must(line)
        place.must(f"load made.mig --instance other.svsm -o out {' '.join(OPTIONS)}")
        place.same("out", "loaded")
        return stage
    require(stage == "exported", f"stage {stage} after a save")
    place.refused(line.replace("made.mig", "second.mig"), "INSTANCE-USED", "ask the destination")
    if place.has("made.mig"):
        place.must(f"load made.mig --instance other.svsm -o out {' '.join(OPTIONS)}")
        place.same("out", "loaded")
        place.refused("load --abort --instance other.svsm -o abort", "INSTANCE-USED")
        return f"{stage}, stream there"
    place.must("load --abort --instance other.svsm -o abort --quiet")
    place.must("save --resume-after abort --from source.svsm --quiet")
    place.must(f"save guest -o again.mig --from source.svsm --to third.offer {' '.join(OPTIONS)}")
    place.must(f"load again.mig --instance third.svsm -o out {' '.join(OPTIONS)}")
    return f"{stage}, no stream"


def after_load(place, line, reference):
    stage = place.stage("there.svsm")
    old = (place.folder / "before").exists()
    if stage == "ready":
        require(not place.has("made") or old, "a guest has its name, and the destination is ready")
        if old:
            place.same("made", "before")
        for rest in place.hidden("made"):
            # Clutter of a killed process; nothing knows its name.
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        place.must(line)
    elif stage == "restoring":
        place.refused("load --abort --instance there.svsm -o abort", "INSTANCE-RESTORING")
        require(not place.has("abort"), "an abort of a destination that restores")
        place.must(line)
    else:
        require(stage == "imported", f"stage {stage} after a load")
    require(place.stage("there.svsm") == "imported", "the load did not end")
    place.same("made", reference)
    place.refused(line.replace("-o made", "-o second"), "INSTANCE-USED")
    require(not place.has("second"), "a second guest")
    place.refused("load --abort --instance there.svsm -o abort", "INSTANCE-USED")
    return stage


def after_lost(place, line):
    """A guest that was taken away between the stored stage and its name."""
    stage = place.stage("there.svsm")
    if stage == "restoring" and not place.has("made"):
        for rest in place.hidden("made"):
            shutil.rmtree(rest)
        place.refused(line, "INSTANCE-RESTORING", "neither")
        require(not place.has("made"), "a guest restored a second time")
        return f"{stage}, guest taken away"
    return stage


def after_abort(place, line):
    stage = place.stage("there.svsm")
    require(stage in ("ready", "aborted"), f"stage {stage} after an abort")
    require(stage == "aborted" or not place.has("made"), "an abort of a destination that may restore")
    there = place.has("made")
    if there:
        place.same("made", "abort.reference")
    else:
        place.must(line)
        place.same("made", "abort.reference")
    place.refused(f"load stream.mig --instance there.svsm -o out {' '.join(OPTIONS)}",
                  "INSTANCE-ABORTED")
    return f"{stage}, {'token there' if there else 'no token'}"


def after_resume(place, line):
    stage = place.stage("exported.svsm")
    if stage == "exported":
        place.must(line)
    else:
        require(stage == "resumed", f"stage {stage} after a resume")
        place.refused(line, "ABORT-STATE")
    place.must(f"save guest -o made.mig --from exported.svsm --to third.offer {' '.join(OPTIONS)}")
    place.refused(line, "ABORT-PEER")
    return stage


def after_prepare(place, line):
    """An instance and its offer: killed between the two names the offer can be written again."""
    if place.has("new.offer"):
        require(place.has("new.svsm"), "an offer without its instance")
    elif place.has("new.svsm"):
        place.must(f"{line} --existing")
    else:
        place.must(line)
        place.must("load --abort --instance new.svsm -o abort --quiet")
        return "nothing"
    require(place.stage("new.svsm") == "ready", "a new instance that is not ready")
    place.must(f"save guest -o new.mig --to new.offer {' '.join(OPTIONS)}")
    place.must(f"load new.mig --instance new.svsm -o new {' '.join(OPTIONS)}")
    return "instance there"


def prepare(tools, folder):
    """What every place begins with."""
    blank = folder.parent / "blank"
    blank.mkdir()
    place = Place(tools, blank, folder)
    place.must("guest create -o guest --memory 64K --vcpus 1 --seed 07 --quiet")
    for name, more in [("there", " --root-out root.pem"), ("other", ""), ("third", ""),
                       ("source", " --chip 1"), ("exported", " --chip 1")]:
        place.must(f"prepare --instance {name}.svsm --output {name}.offer --quiet{more}")
    options = " ".join(OPTIONS)
    place.must(f"save guest -o stream.mig --from exported.svsm --to there.offer {options}")
    for result, more in [("loaded", ""), ("loaded.raw", " --output-format raw"),
                         ("abort.reference", " --abort")]:
        shutil.copy(folder / "there.svsm", folder / "copy.svsm")
        words = more if more == " --abort" else f"{more} {options}"
        place.must(f"load stream.mig --instance copy.svsm -o {result}{words}")
    shutil.copytree(folder / "guest", folder / "old")
    return place


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    tools = parser.parse_args().tools.resolve()
    options = " ".join(OPTIONS)
    load = f"load stream.mig --instance there.svsm -o made --jobs 1 {options}"
    save = f"save guest -o made.mig --from source.svsm --to other.offer --jobs 1 {options}"
    abort = "load stream.mig --abort --instance there.svsm -o made --quiet"
    resume = "save --resume-after abort.reference --from exported.svsm --quiet"
    # name, call, whether a guest stands at the output before, what must hold
    programs = [
        ("save", save, False, after_save),
        ("load", load, False, lambda place, line: after_load(place, line, "loaded")),
        ("load --force", f"{load} --force", True,
         lambda place, line: after_load(place, line, "loaded")),
        ("load, raw", f"{load} --output-format raw", False,
         lambda place, line: after_load(place, line, "loaded.raw")),
        ("load, guest taken away", load, False, after_lost),
        ("abort", abort, False, after_abort),
        ("resume", resume, False, after_resume),
        ("prepare", "prepare --instance new.svsm --output new.offer --quiet", False, after_prepare),
    ]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="svsm-crash-") as scratch:
        scratch = pathlib.Path(scratch)
        pattern = prepare(tools, scratch / "pattern").folder

        def kill_all(job):
            (name, line, has_old, check), call, sent = job
            met, number = [], 1
            while True:
                folder = scratch / "-".join([*name.split(), call, str(number), *sent.split("=")])
                place = Place(tools, pattern, folder)
                if has_old:
                    for copy in ("made", "before"):
                        shutil.copytree(folder / "old", folder / copy)
                try:
                    if not place.killed(line, call, number, sent):
                        return job, met, None
                    met.append(check(place, line))
                    require(sent != "signal=TERM" or met[-1] != "exported, no stream",
                            "a signal throws the stream of an exported source away")
                except (Wrong, subprocess.TimeoutExpired) as problem:
                    return job, met, f"{sent} at {call} {number}: {problem}"
                finally:
                    shutil.rmtree(folder)
                number += 1

        jobs = [(program, call, "signal=KILL") for program in programs for call in CALLS]
        # What lets the program clean up must not clean up what is kept.
        jobs += [(program, call, sent) for program in programs for call in CALLS[:3]
                 for sent in ("signal=TERM", "error=EIO")]
        seen = {program[0]: {} for program in programs}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for (program, _, _), met, problem in pool.map(kill_all, jobs):
                for state in met:
                    states = seen[program[0]]
                    states[state] = states.get(state, 0) + 1
                if problem:
                    failures += 1
                    print(f"crash.py: {program[0]}: {problem}", file=sys.stderr)
        for name, states in seen.items():
            found = ", ".join(f"{state} {count}" for state, count in sorted(states.items()))
            print(f"{name}: ended {sum(states.values())} times; left {found}")
            # Each has a step between two stages; who never dies on both sides of it shows nothing.
            if len(states) < 2:
                failures += 1
                print(f"crash.py: {name}: only one state was met", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
