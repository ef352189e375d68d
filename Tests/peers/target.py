#!/usr/bin/env python3
"""Holds what svsm-mig-verify --target predicts against what QEMU does. Started by Tests/run.

Streams of Fixtures/qemu that QEMU 7.2 and 10 wrote, streams that 10 writes here for a machine type of
7.2, and streams changed so that a rule of Formats/target.md is broken: each is held against the dump
of each QEMU (the system's, and the one that SVSM_QEMU_10 names) for some machine types, and then
loaded by it. Verdict and deed must agree, or the difference must be one that no dump can tell, by a
rule in `unsaid`. A line for each; a missing program is a failure.
"""

import argparse
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from check import REPOSITORY, Checks, Refused
from machine import STOCK, Machine

CASES = ["pc72-boot", "pc72-boot-devices", "pc2.4-boot", "q35-72-boot", "pc100-boot",
         "pc100-boot-dimm"]
# One machine type of each family that both QEMUs have.
FAMILIES = ["pc-i440fx-7.2", "pc-q35-7.2"]
BARE = ["-accel", "tcg", "-m", "8M", "-display", "none", "-nodefaults"]
# Saved by QEMU 10 under a machine type of 7.2: network, disk, USB, sound, room that 10 has in use.
MIXED = [*BARE, "-audiodev", "none,id=a", "-device", "e1000e", "-device", "virtio-net-pci", "-device", "virtio-rng-pci",
         "-device", "qemu-xhci,id=x", "-device", "usb-tablet,bus=x.0", "-device",
         "AC97,audiodev=a", "-device", "sb16,audiodev=a", "-device", "vmgenid", "-device", "pvpanic"]


class QEMU:
    """One QEMU: its program, and its dumps by machine type."""

    def __init__(self, place, name, program):
        self.place, self.name, self.program, self.dumps = place, name, program, {}
        self.environment = dict(os.environ)
        if program != STOCK:
            self.environment["QEMU_MODULE_DIR"] = str(self.modules())
        text = subprocess.run([program, "-machine", "help"], capture_output=True, check=True)
        self.machines = place / f"machines-{name}"
        self.machines.write_bytes(text.stdout)
        self.types = {line.split()[0] for line in text.stdout.decode().splitlines()[1:] if line}
        self.devices = place / f"devices-{name}"
        listed = subprocess.run([program, "-device", "help", *BARE, "-M", "none"],
                                capture_output=True, env=self.environment, check=True)
        self.devices.write_bytes(listed.stdout)

    def modules(self):
        """Modules for a QEMU that stands apart: it would take those of the system's, of another
        version, and end. What it lacks itself is an empty file, which it passes over."""
        folder = self.place / f"modules-{self.name}"
        folder.mkdir()
        for path in pathlib.Path("/usr/lib").glob("*/qemu/*.so"):
            (folder / path.name).touch()
        for path in pathlib.Path(self.program).parent.glob("usr/lib/*/qemu/*.so"):
            (folder / path.name).unlink(missing_ok=True)
            (folder / path.name).symlink_to(path)
        return folder

    def dump(self, machine):
        """The file that -dump-vmstate writes for a machine type."""
        if machine not in self.dumps:
            path = self.place / f"{self.name}-{machine}.json"
            subprocess.run([self.program, "-M", machine, "-dump-vmstate", path], check=True,
                           capture_output=True, env=self.environment)
            self.dumps[machine] = path
        return self.dumps[machine]


class Trial:
    """A stream, and how the machine was started that it is from."""

    def __init__(self, name, path, arguments, options=(), machines=FAMILIES):
        self.name, self.path, self.arguments, self.options = name, path, arguments, options
        place = arguments.index("-M") + 1
        own, _, self.properties = arguments[place].partition(",")
        self.place = place
        self.machines = list(dict.fromkeys([own, *machines]))

    def started(self, machine):
        words = list(self.arguments)
        words[self.place] = ",".join(filter(None, [machine, self.properties]))
        return words


def predict(tools, trial, qemu, machine):
    """The report of svsm-mig-verify."""
    done = subprocess.run(
        [tools / "svsm-mig-verify", trial.path, "--target", qemu.dump(machine), "--target-machines",
         qemu.machines, "--target-devices", qemu.devices, "--json", "--quiet", *trial.options],
        capture_output=True)
    if done.returncode not in (0, 65):
        raise Refused(f"verify exits {done.returncode}: {done.stderr.decode(errors='replace')}")
    report = json.loads(done.stdout)
    if "rows" not in report or report["exitStatus"] != done.returncode:
        raise Refused("verify refuses the stream itself")
    return report


def load(place, trial, qemu, machine):
    """What QEMU says when it refuses the stream; None when it has loaded it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=place))
    with (folder / "boot.img").open("wb") as image:
        image.truncate(1440 << 10)
    try:
        with Machine(folder, trial.started(machine), True, qemu.program) as destination:
            destination.load(trial.path)
        return None
    except Refused:
        said = (folder / "errors").read_text(errors="replace")
        return said or "nothing"


def unsaid(report, said):
    """Why QEMU refuses what its dump speaks for: None when the dump could have told."""
    outcomes = {(row["name"], row.get("instance")): row["outcome"] for row in report["rows"]}
    # A dump has device types: which devices a machine was started with is not in it.
    if found := re.search(r"Unknown savevm section or instance '(.*)' (\d+)", said):
        if outcomes.get((found[1], int(found[2]))) in ("fits", "not-checkable"):
            return "devices of a machine are in no dump"
    # Without the destination's sizes.
    if "Size mismatch" in said or "Length mismatch" in said or "ramblock" in said:
        return "RAM is in no dump"
    # Code looks at values, and reads what no dump lists.
    if found := re.search(r"error while loading state for instance \w+ of device '(.*)'", said):
        if "not-checkable" in [row["outcome"] for row in report["rows"] if row["name"] == found[1]]:
            return "what code registers is in no dump"
    return None


def agree(place, tools, trial, qemu, machine, difference=None):
    """Prediction and deed agree, or differ by a rule: the one that is expected, if any is."""
    report = predict(tools, trial, qemu, machine)
    said = load(place, trial, qemu, machine)
    codes = [report["refusal"]["code"]] if report["refusal"] else []
    if (report["exitStatus"] == 0) == (said is None):
        if difference:
            raise Refused(f"a difference is expected: {difference}")
        return codes[0] if codes else "loads"
    if said is None:
        raise Refused(f"QEMU loads it: {report['refusal']}")
    reason = unsaid(report, said)
    if reason is None or reason != difference:
        raise Refused(f"QEMU refuses it: {said.strip().splitlines()[-3:]}")
    return f"QEMU refuses it: {reason}"


def fixture(place, name):
    folder = REPOSITORY / "Fixtures/qemu" / name
    path = place / name
    path.write_bytes(lzma.decompress((folder / "stream.xz").read_bytes()))
    facts = json.loads((folder / "case.json").read_text())
    own = facts["destination"]["args"]
    newer = ["pc-i440fx-10.0"] if name == "pc72-boot" else []
    return Trial(name, path, own, machines=[*FAMILIES, *newer])


def saved_here(place, qemu, machine):
    folder = pathlib.Path(tempfile.mkdtemp(dir=place))
    arguments = [*MIXED, "-M", machine]
    path = place / f"mixed-{machine}"
    with Machine(folder, ["-S", *arguments], program=qemu.program) as source:
        source.save(path)
    return Trial(f"{machine} of QEMU {qemu.name}", path, arguments, machines=[])


def changed(trial, name, old, new, options=(), arguments=None):
    """The same stream with some bytes changed wherever they stand."""
    stream = trial.path.read_bytes()
    if old and old not in stream:
        raise Refused(f"there is no {old!r} in the stream")
    path = trial.path.with_name(f"{trial.path.name}-{name}")
    path.write_bytes(stream.replace(old, new) if old else stream)
    return Trial(f"{trial.name} with {name}", path, arguments or trial.arguments, options,
                 machines=[])


def named(machine):
    """The machine's name in a configuration section."""
    return b"\x07" + len(machine).to_bytes(4, "big") + machine.encode()


def header(name, version):
    """The end of a section's header: name, instance 0, version."""
    return bytes([len(name)]) + name.encode() + bytes(4) + version.to_bytes(4, "big")


def broken(boot):
    """Streams that break a rule each, and the code of it."""
    more = ["16M" if word == "8M" else word for word in boot.arguments]
    return [
        ("TARGET-VERSION", changed(boot, "a newer device", header("fw_cfg", 2), header("fw_cfg", 3))),
        ("TARGET-VERSION", changed(boot, "an older device", header("fdc", 2), header("fdc", 1))),
        ("TARGET-SECTION", changed(boot, "an unknown device", b"vmmouse", b"vmmousf")),
        ("TARGET-SUBSECTION", changed(boot, "an unknown subsection", b"fw_cfg/dma", b"fw_cfg/dmb")),
        ("TARGET-RAM", changed(boot, "more memory there", b"", b"",
                               ["--target-ram", "pc.ram=16M"], more)),
        # One byte less of a buffer, in the stream and in what describes it.
        ("TARGET-FIELD", shortened(boot)),
    ]


def shortened(boot):
    """A stream whose keyboard controller has a field less, description and all."""
    stream = boot.path.read_bytes()
    start = stream.index(header("port92", 1)) + len(header("port92", 1))
    end = stream.rindex(b"\x06", 0, stream.rindex(b'{"page_size"'))
    text = json.loads(stream[end + 5:])
    for device in text["devices"]:
        if device["name"] == "port92":
            device["fields"] = []
    described = json.dumps(text).encode()
    path = boot.path.with_name("shortened")
    path.write_bytes(stream[:start] + stream[start + 1:end] + b"\x06"
                     + len(described).to_bytes(4, "big") + described)
    return Trial(f"{boot.name} with a field less", path, boot.arguments, machines=[])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="folder of our tools")
    tools = parser.parse_args().tools.absolute()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        old, new = QEMU(place, "7.2", STOCK), QEMU(place, "10", os.environ["SVSM_QEMU_10"])
        trials = [fixture(place, name) for name in CASES]
        trials += [saved_here(place, new, machine) for machine in FAMILIES]
        trials.append(saved_here(place, old, FAMILIES[1]))
        for trial in trials:
            for qemu in (old, new):
                for machine in filter(qemu.types.__contains__, trial.machines):
                    checks.check(f"{trial.name} at QEMU {qemu.name} -M {machine}", agree, place,
                                 tools, trial, qemu, machine)
        boot = trials[0]
        # Without its last letters the name is that of any version, and the devices must tell.
        for trial, name, machine in [(boot, "pc-i440fx-7.2", "pc-i440fx-10.0"),
                                     (trials[4], "pc-i440fx-10.0", "pc-i440fx-7.2")]:
            free = changed(trial, "half a name", named(name), named("pc-i440fx-"))
            checks.check(f"{free.name} at QEMU 10 -M {machine}", agree, place, tools, free, new,
                         machine)
        for code, trial in broken(boot):
            def refused_with(trial=trial, code=code):
                note = agree(place, tools, trial, old, trial.machines[0])
                if note != code:
                    raise Refused(f"{note}, not {code}")
                return note
            checks.check(f"{trial.name} at QEMU 7.2", refused_with)
        devices = trials[1]
        place_of = devices.arguments.index("i6300esb")
        bare = Trial("a device less", devices.path,
                     devices.arguments[:place_of - 1] + devices.arguments[place_of + 1:], machines=[])
        checks.check("pc72-boot-devices at a machine without its watchdog", agree, place, tools, bare,
                     old, "pc-i440fx-7.2", "devices of a machine are in no dump")
        # What would agree must not pass as a difference, nor the reverse.
        checks.check("a difference that there is not is noticed", agree, place, tools, boot, old,
                     boot.machines[0], "devices of a machine are in no dump", refused=True)
        checks.check("a difference without its rule is noticed", agree, place, tools, bare, old,
                     "pc-i440fx-7.2", refused=True)
    times = os.times()
    print(f"{checks.passed} passed, {checks.failed} failed, "
          f"{sum(times[:4]):.0f} s of processor time")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
