#!/usr/bin/env python3
"""Takes guests of the stock QEMU 7.2 through svsm-mig-save and svsm-mig-load, and has QEMU resume
them. Started by Tests/run.

They are streams of Fixtures/qemu, and guests that run here: the boot sector from cold boot on, with
and without a TPM (swtpm), and the small Linux of a fixture, which runs on here and is then saved
anew. All RAM is private. What comes back is compared field by field; then QEMU loads it, and the
registers, what QEMU saves again at once, and what the guest prints when it goes on must be right.
Nothing of registers and TPM may be readable on the way. Each kind of check is also given something
broken, which it must not pass. A missing program is a failure.
"""

import argparse
import json
import lzma
import pathlib
import signal
import sys
import tempfile

import clear
import live
from check import REPOSITORY, Checks, Refused, run
from guests import Guest
from machine import Machine, until

CASES = ["pc72-boot", "pc72-boot-devices", "pc72-boot-novmdesc", "pc72-bios-reset", "pc2.0-boot",
         "pc2.4-boot", "q35-72-boot", "pc72-tiny", "q35-72-tiny-smp2"]
# This one's stream names no machine and describes no registers.
OLD = "pc2.0-boot"


class Place:
    """A folder for everything, our tools, and the way through them."""

    def __init__(self, folder, tools):
        self.folder, self.tools, self.count = folder, tools, 0
        packed = REPOSITORY / "Fixtures/qemu/pc72-boot/pc.ram.bin.xz"
        self.boot_memory = lzma.decompress(packed.read_bytes())
        self.floppy = folder / "boot.img"
        # The boot sector is where the firmware put it.
        self.floppy.write_bytes(self.boot_memory[0x7C00:0x7E00].ljust(1440 << 10, b"\0"))

    def new(self, name):
        """A path that nothing has yet."""
        self.count += 1
        return self.folder / f"{self.count}-{name}"

    def tool(self, name, *words):
        return run(self.tools / f"svsm-mig-{name}", *words)

    def migrate(self, guest, *options):
        """Saves a guest for a new instance and loads it there as a QEMU stream.
        Returns the paths of the SNP stream and of the QEMU stream."""
        instance, offer, root = self.new("instance"), self.new("offer"), self.new("root.pem")
        snp, plain = self.new("snp"), self.new("plain")
        self.tool("prepare", "--instance", instance, "--output", offer, "--root-out", root,
                  "--quiet")
        self.tool("save", guest, *options, "-o", snp, "--to", offer, "--trust", root, "--quiet")
        self.tool("load", snp, "--instance", instance, "--trust", root, "-o", plain,
                  "--output-format", "qemu", "--quiet")
        return snp, plain

    def rewrite(self, stream, *options):
        """Takes a QEMU stream there and back. On the way no section is one of those that hold
        registers or a TPM's state."""
        snp, plain = self.migrate(stream, "--input-format", "qemu", "--private", "all", *options)
        for section in self.sections(snp):
            if section[2] in ("cpu", "cpu_common", "tpm-emulator"):
                raise Refused(f"the SNP stream has a section {section[2]}")
        return snp, plain

    def inspect(self, stream):
        """Digests of memory, and every field of every device."""
        return json.loads(self.tool("inspect", stream, "--ram-hashes", "--devices", "--json"))

    def sections(self, stream):
        """All sections in order, the parts of memory as one."""
        listed = json.loads(self.tool("inspect", stream, "--sections", "--json"))["sections"]
        found = []
        for section in listed:
            words = [section[key] for key in ("type", "id", "name", "instance", "version")]
            if section["name"] != "ram":
                words.append(section["size"])
            if found[-1:] != [words]:
                found.append(words)
        return found

    def compare(self, before, after):
        """Two streams hold the same, though memory may be cut into other parts."""
        facts, found = self.inspect(before), self.inspect(after)
        for key in facts:
            if found[key] != facts[key]:
                raise Refused(f"{key} differs")
        if self.sections(after) != self.sections(before):
            raise Refused("the sections differ")
        return found

    def machine(self, arguments, incoming=False):
        folder = self.new("machine")
        folder.mkdir()
        (folder / "boot.img").symlink_to(self.floppy)
        return Machine(folder, arguments, incoming)


class Case:
    """A stream of Fixtures/qemu and what is known of its guest."""

    def __init__(self, place, name):
        self.place, self.name, self.snp, self.plain = place, name, None, None
        folder = REPOSITORY / "Fixtures/qemu" / name
        self.facts = json.loads((folder / "case.json").read_text())
        self.arguments = self.facts["destination"]["args"]
        self.guest = Guest(self.facts["guest"])
        self.stream = place.new(name)
        self.stream.write_bytes(lzma.decompress((folder / "stream.xz").read_bytes()))
        registers = folder / "registers.txt"
        self.registers = registers.read_text() if registers.exists() else None

    def rewrite(self):
        options = []
        if self.name == OLD:
            # Any VMSA does: the real registers are in what is sealed whole.
            other = self.place.new("other")
            self.place.tool("guest", "create", "-o", other, "--memory", "64K", "--quiet")
            machine = self.arguments[self.arguments.index("-M") + 1]
            options = ["--machine", machine, "--vmsa", other / "vcpu-0.vmsa"]
        self.snp, self.plain = self.place.rewrite(self.stream, *options)

    def is_whole(self, stream):
        """A stream holds what the fixture's does, and the memory that QEMU's process had."""
        found = self.place.compare(self.stream, stream)
        if digests(found["ramBlocks"]) != digests(self.facts["ram_blocks"]):
            raise Refused("memory is not what the process of QEMU held")
        return f"{len(found['ramBlocks'])} RAM blocks, {len(found['devices'])} devices"

    def resumes(self, stream):
        """QEMU loads a stream as this guest: all its state is there, and it goes on."""
        with self.place.machine(self.arguments, incoming=True) as machine:
            machine.load(stream)
            if self.registers is not None:
                machine.has_registers(self.registers)
            self.compare_saved(machine.save(self.place.new("again")))
            return self.goes_on(machine)

    def runs(self, stream):
        """QEMU loads a stream, and the guest goes on; nothing is compared before."""
        with self.place.machine(self.arguments, incoming=True) as machine:
            machine.load(stream)
            return self.goes_on(machine)

    def compare_saved(self, again):
        """What QEMU saves at once is the fixture's stream again: the same memory, and the same
        bytes from the first device on, but where QEMU itself changes something."""
        after = again.read_bytes()
        before = self.stream.read_bytes()
        first, first_after = (clear.section(stream, "timer")[0] for stream in (before, after))
        moved = first_after - first
        if len(after) != len(before) + moved:
            raise Refused(f"saved again it has {len(after) - first_after} bytes of devices, "
                          f"not {len(before) - first}")
        free = self.free(before)
        for at in range(first, len(before)):
            if before[at] != after[at + moved] and not any(at in place for place in free):
                raise Refused(f"saved again it differs at byte {at:#x}")
        if digests(self.place.inspect(again)["ramBlocks"]) != digests(self.facts["ram_blocks"]):
            raise Refused("saved again it has other memory")

    def free(self, stream):
        """Where it may differ, as loading these streams with QEMU alone has shown: the clock chip's
        time, and two fields that the controller of disks resets."""
        known = [range(*bounds) for bounds in self.facts["again_may_differ"]]
        # And what those who recorded the streams could not see on that day: the chip's daily alarm
        # comes meanwhile. Its flag in register C; timer and time of the next.
        clock = clear.section(stream, "mc146818rtc")[1]
        return [*known, range(clock + 12, clock + 13), range(clock + 229, clock + 245)]

    def goes_on(self, machine):
        """Three more ticks come, and a right checksum, and nothing is wrong. The first is the one
        after the last at the source, or the next where that had been printed in part."""
        machine.command("cont")
        if "bios_line" in self.facts:
            until(lambda: self.facts["bios_line"] in machine.serial(), "the firmware runs")
            return "the firmware runs"
        last = self.facts["stopped_after_tick"]

        def enough():
            ticks, sums, problem = self.guest.read(machine.serial())
            if problem is None and ticks and ticks[0] not in (last + 1, last + 2):
                problem = f"tick {ticks[0]} after {last}"
            if problem is not None:
                raise Refused(problem)
            return len(ticks) >= 3 and sums >= 1 and ticks

        ticks = until(enough, "three ticks and a checksum")
        return f"ticks {ticks[0]} to {ticks[-1]} after {last}"

    def damaged(self, at):
        """This stream with one bit changed."""
        stream = bytearray(self.stream.read_bytes())
        stream[at] ^= 1
        path = self.place.new("damaged")
        path.write_bytes(stream)
        return path


def digests(blocks):
    return {block["name"]: block["sha256"] for block in blocks}


def fixtures(checks, place):
    """Streams that QEMU saved long ago."""
    for name in CASES:
        case = Case(place, name)
        if checks.check(f"{name} goes through save and load", case.rewrite):
            checks.check(f"{name} comes back whole", case.is_whole, case.plain)
            checks.check(f"{name} is resumed by QEMU as it was", case.resumes, case.plain)
            if case.registers is not None:
                registers_hidden(checks, name, case)


def damages(checks, place):
    """What the checks of `fixtures` must not pass."""
    case = Case(place, "pc72-boot")
    stream = case.stream.read_bytes()
    page = case.damaged(stream.index(place.boot_memory[0x100000:0x101000]))
    checks.check("a stream with one bit of memory changed is not whole", case.is_whole, page,
                 refused=True)
    checks.check("its guest finds another checksum", case.runs, page, refused=True)
    timer = case.damaged(stream.index(clear.body(stream, "i8254")))
    checks.check("with one bit of a device changed QEMU saves something else", case.resumes, timer,
                 refused=True)
    linux = Case(place, "pc72-tiny")
    stream = linux.stream.read_bytes()
    cpu = linux.damaged(stream.index(clear.body(stream, "cpu")))
    checks.check("with one bit of a register changed QEMU shows another", linux.resumes, cpu,
                 refused=True)


def sealed(checks, place):
    """A plain stream that was sealed is one that QEMU loads."""
    case = Case(place, "pc72-boot")
    sealed = place.new("sealed")
    if checks.check("a plain stream is sealed", place.tool, "seal", case.stream, "-o", sealed):
        checks.check("the sealed stream is resumed by QEMU as it was", case.resumes, sealed)


def registers_hidden(checks, name, move):
    checks.check(f"registers of {name} are not in the clear", clear.no_registers_in, move.registers,
                 move.snp)
    checks.check("they are in its plain stream", clear.no_registers_in, move.registers, move.plain,
                 refused=True)


def section_hidden(checks, name, move, section):
    checks.check(f"{section} of {name} is not in the clear", clear.no_section_in, move.stream,
                 move.snp, section)
    checks.check("it is in its plain stream", clear.no_section_in, move.stream, move.plain, section,
                 refused=True)


def running(checks, place):
    """Guests that run here."""
    checks.check("a guest that boots here migrates and goes on", live.boots_and_goes_on, place)
    move = live.Move(place, "tiny")
    if checks.check("a Linux that runs here migrates and goes on", live.linux_goes_on,
                    Case(place, "pc72-tiny"), move):
        registers_hidden(checks, "that Linux", move)
        bundle = place.new("bundle")
        if checks.check("its VMSA is made", place.tool, "guest", "import", move.plain, "-o", bundle,
                        "--private", "all", "--quiet"):
            checks.check("they are in that, in the other byte order", clear.no_registers_in,
                         move.registers, bundle / "vcpu-0.vmsa", refused=True)
        section_hidden(checks, "that Linux", move, "cpu")
    move = live.TPMMove(place)
    if checks.check("PCRs and an NV index migrate with a guest", move.travels):
        # In real mode no register has much in it; its section has.
        for section in ("cpu", "tpm-emulator", "tpm-tis"):
            section_hidden(checks, "that guest", move, section)


def nothing(checks, place):
    """Memory that no QEMU saved."""
    for machine in ("none", "pc-i440fx-7.2"):
        guest = place.new("guest")
        if checks.check(f"a synthetic guest of {machine} is made", place.tool, "guest", "create",
                        "-o", guest, "--memory", "8M", "--machine", machine, "--quiet"):
            image = guest / "ram-0.bin"
            checks.check(f"QEMU -M {machine} loads it", live.memory_arrives, place, guest, image,
                         machine)
            checks.check(f"QEMU -M {machine} loads an image of its memory", live.memory_arrives,
                         place, image, image, machine, "--input-format", "raw", "--machine",
                         machine, "--private", "all")
            checks.check(f"QEMU -M {machine} with more memory refuses it", live.memory_arrives,
                         place, guest, image, machine, size="16M", refused=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="folder of our tools")
    tools = parser.parse_args().tools
    # To end by an exception, so that machines end and the folder goes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(pathlib.Path(folder), tools.absolute())
        for part in (fixtures, damages, sealed, running, nothing):
            part(checks, place)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
