#!/usr/bin/env python3
"""Lets system calls of real runs fail, with strace, and holds what is said against what is left. Started
by Tests/run.

A disk that does not take a folder's names any more (EIO at its fsync) is where most is made already: the
line that ends such a run must name what stands, and the stage that is stored, and nothing else. A file of
a guest's bundle that the system does not open (EACCES, EMFILE) is no damaged guest: the call ends as for
any input that cannot be opened.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import crash
from crash import Wrong, require

MEMBERS = ["guest.json", "ram-0.bin", "page-states.bin", "vcpu-0.vmsa", "service-0.bin"]


def inject(place, line, path, fault):
    """Runs `line`, in which calls that concern `path` fail as `fault` says."""
    call = fault.split(":")[0]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", f"trace={call}",
         "-e", f"inject={fault}", *place.command(line)],
        cwd=place.folder, capture_output=True, timeout=60)
    said = [text for text in done.stderr.decode().splitlines() if text.startswith("svsm-mig-")]
    return done.returncode, said


def claims(said, phrase, truth):
    """Whether `phrase` is said must be whether it is true."""
    require((phrase in said) == truth,
            f"\"{phrase}\" is {'not said' if truth else 'said'}: {said}")


def about_load(place, said):
    """What is left of a load, which `said` must tell."""
    stage = place.stage("there.svsm")
    hidden = place.hidden("made")
    claims(said, f"there.svsm is {stage}", stage != "ready")
    claims(said, "made is complete, but it may be lost", stage == "restoring" and place.has("made"))
    claims(said, "load again to end the load", stage == "restoring" and place.has("made"))
    claims(said, "load again to give it a name", stage == "restoring" and not place.has("made"))
    claims(said, "the guest is restored all the same: made", stage == "imported")
    require(len(hidden) == (stage == "restoring" and not place.has("made")),
            f"hidden files at stage {stage}: {hidden}")
    for path in hidden:
        claims(said, f"the guest is whole, as {path.resolve()}:", True)
    return f"{stage}, {'guest there' if place.has('made') else 'no guest'}"


def about_save(place, said):
    stage = place.stage("source.svsm")
    there = place.has("made.mig")
    claims(said, f"source.svsm is {stage}", stage != "ready")
    claims(said, "made.mig is complete, but it may be lost", there)
    claims(said, "ask the destination for an abort", stage == "exported" and not there)
    require(not place.hidden("made.mig"), "a hidden stream is left")
    return f"{stage}, {'stream there' if there else 'no stream'}"


def about_abort(place, said):
    stage = place.stage("there.svsm")
    there = place.has("made")
    claims(said, "there.svsm is aborted all the same", stage == "aborted" and not there)
    claims(said, "there.svsm has given up all the same", stage == "aborted" and there)
    claims(said, "made is complete, but it may be lost", there)
    return f"{stage}, {'token there' if there else 'no token'}"


def about_resume(place, said):
    stage = place.stage("exported.svsm")
    claims(said, f"exported.svsm is {stage} all the same", stage == "resumed")
    return stage


def about_prepare(place, said):
    there = [place.has("new.svsm"), place.has("new.offer")]
    require(there[0] == there[1], "an instance without its offer")
    claims(said, "new.svsm and new.offer are complete, but they may be lost", there[0])
    return "instance there" if there[0] else "nothing"


def fail_folder(tools, pattern, scratch):
    """For each N lets the N-th fsync of the folder fail, until a run has no N-th and ends well."""
    options = " ".join(crash.OPTIONS)
    load = f"load stream.mig --instance there.svsm -o made {options}"
    save = f"save guest -o made.mig --from source.svsm --to other.offer {options}"
    abort = "load stream.mig --abort --instance there.svsm -o made --quiet"
    resume = "save --resume-after abort.reference --from exported.svsm --quiet"
    raw = f"{load} --output-format raw"
    # What is left is then looked at as after a kill: the call again, and all that is refused.
    programs = [
        ("load", load, about_load, lambda place: crash.after_load(place, load, "loaded"), 4),
        ("load, raw", raw, about_load, lambda place: crash.after_load(place, raw, "loaded.raw"), 4),
        ("save", save, about_save, lambda place: crash.after_save(place, save), 2),
        ("abort", abort, about_abort, lambda place: crash.after_abort(place, abort), 2),
        ("resume", resume, about_resume, lambda place: crash.after_resume(place, resume), 1),
        ("prepare", "prepare --instance new.svsm --output new.offer --quiet", about_prepare,
         lambda place: None, 2),
    ]
    for name, line, about, after, count in programs:
        met = []
        for number in range(1, 20):
            place = crash.Place(tools, pattern, scratch / f"{name}-{number}".replace(" ", ""))
            status, said = inject(
                place, line, str(place.folder.resolve()), f"fsync:error=EIO:when={number}")
            if status == 0:
                break
            require(status == 74 and len(said) == 1 and "failed [IO-WRITE]" in said[0],
                    f"{name}, fsync {number}: status {status}: {said}")
            try:
                met.append(about(place, said[0]))
                after(place)
            except Wrong as problem:
                raise Wrong(f"{name}, fsync {number}: {problem}") from None
            shutil.rmtree(place.folder)
        require(len(met) == count, f"{name}: the folder was written {len(met)} times: {met}")
        print(f"{name}: EIO at each fsync of the folder: {'; '.join(met)}")


def fail_members(tools, pattern, scratch):
    """Lets the open of each file of a bundle fail."""
    place = crash.Place(tools, pattern, scratch / "members")
    options = " ".join(crash.OPTIONS)
    for line in ["guest show guest", "guest export guest -o image",
                 f"save guest -o new.mig --to other.offer {options}"]:
        for member in MEMBERS:
            for error, text in [("EACCES", "Permission denied"), ("EMFILE", "Too many open files")]:
                status, said = inject(
                    place, line, f"guest/{member}", f"openat:error={error}")
                require(status == 66 and len(said) == 1 and "failed [INPUT-OPEN]" in said[0]
                        and f"guest/{member}" in said[0] and text in said[0],
                        f"`{line}`, {error} at {member}: status {status}: {said}")
                require(not place.has("image") and not place.has("new.mig"), "an output is left")
    print(f"bundle: EACCES and EMFILE at each of {len(MEMBERS)} files: status 66")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    tools = parser.parse_args().tools.resolve()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="svsm-faults-") as scratch:
        scratch = pathlib.Path(scratch)
        pattern = crash.prepare(tools, scratch / "pattern").folder
        for check in (fail_folder, fail_members):
            try:
                check(tools, pattern, scratch)
            except (Wrong, subprocess.TimeoutExpired) as problem:
                failures += 1
                print(f"faults.py: {problem}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
