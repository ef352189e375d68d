#!/usr/bin/env python3
"""Takes guests of a stock QEMU through svsm-mig-save and svsm-mig-load, and has QEMU resume them.
Started by Tests/run.

QEMU is the system's 7.2, and a 10 beside it (SVSM_QEMU_10 names its program). The guests are streams
of Fixtures/qemu, and guests that run here: the boot sector from cold boot on, with and without a TPM
(swtpm), the small Linux of a fixture, which runs on here and is then saved anew, and guests with
several RAM blocks. All RAM is private. What comes back is compared field by field; then the QEMU it
is from loads it, and the registers, what QEMU saves again at once, and what the guest prints when it
goes on must be right. Nothing of registers and TPM may be readable on the way. Each kind of check is
also given something broken, which it must not pass. A missing program is a failure.
"""

import argparse
import json
import lzma
import os
import pathlib
import signal
import sys
import tempfile

import clear
import layout
import live
import tpm
from check import REPOSITORY, Checks, Refused, run
from guests import Guest
from machine import STOCK, Machine, until

CASES = ["pc72-boot", "pc72-boot-devices", "pc72-boot-novmdesc", "pc72-bios-reset", "pc2.0-boot",
         "pc2.4-boot", "q35-72-boot", "pc72-tiny", "q35-72-tiny-smp2", "pc100-boot",
         "pc100-boot-dimm"]
# This one's stream names no machine and describes no registers.
OLD = "pc2.0-boot"
# This one's memory was plugged in, which its stream does not say.
PLUGGED = {"pc100-boot-dimm": ["--ram", "d0@0x100000000", "--ram", "d1@0x101000000"]}
# A guest of 7.2 that 10 resumes, too.
UPGRADED = "q35-72-tiny-smp2"


class Place:
    """A folder for everything, our tools, and the way through them."""

    def __init__(self, folder, tools):
        self.folder, self.tools, self.count = folder, tools, 0
        self.qemu_10 = os.environ["SVSM_QEMU_10"]
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
        """Two streams hold the same, though memory may be cut into other parts, and a page that
        QEMU sent twice is in the second stream once."""
        facts, found = self.inspect(before), self.inspect(after)
        for key in facts:
            if key != "size" and found[key] != facts[key]:
                raise Refused(f"{key} differs")
        if self.sections(after) != self.sections(before):
            raise Refused("the sections differ")
        return found

    def machine(self, arguments, incoming=False, program=STOCK):
        folder = self.new("machine")
        folder.mkdir()
        (folder / "boot.img").symlink_to(self.floppy)
        return Machine(folder, arguments, incoming, program)


class Case:
    """A stream of Fixtures/qemu and what is known of its guest."""

    def __init__(self, place, name):
        self.place, self.name, self.snp, self.plain = place, name, None, None
        folder = REPOSITORY / "Fixtures/qemu" / name
        self.facts = json.loads((folder / "case.json").read_text())
        destination = self.facts["destination"]
        self.arguments, self.capabilities = destination["args"], destination["capabilities"]
        self.program = place.qemu_10 if destination["min_qemu"] == "10.0" else STOCK
        self.guest = Guest(self.facts["guest"])
        self.stream = place.new(name)
        self.stream.write_bytes(lzma.decompress((folder / "stream.xz").read_bytes()))
        registers = folder / "registers.txt"
        self.registers = registers.read_text() if registers.exists() else None

    def rewrite(self):
        options = PLUGGED.get(self.name, [])
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
        with self.place.machine(self.arguments, incoming=True, program=self.program) as machine:
            machine.load(stream)
            self.has_registers(machine)
            self.compare_saved(machine.save(self.place.new("again")))
            return self.goes_on(machine)

    def runs(self, stream, program):
        """A QEMU loads a stream, and the guest goes on. It may be another QEMU, which saves
        otherwise."""
        with self.place.machine(self.arguments, incoming=True, program=program) as machine:
            machine.load(stream, self.capabilities)
            self.has_registers(machine)
            return self.goes_on(machine)

    def has_registers(self, machine):
        if self.registers is not None:
            machine.has_registers(self.registers)

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
            if name == UPGRADED:
                checks.check("and goes on in QEMU 10", case.runs, case.plain, place.qemu_10)
            if case.registers is not None:
                registers_hidden(checks, name, case)


def damages(checks, place):
    """What the checks of `fixtures` must not pass."""
    case = Case(place, "pc72-boot")
    stream = case.stream.read_bytes()
    page = case.damaged(stream.index(place.boot_memory[0x100000:0x101000]))
    checks.check("a stream with one bit of memory changed is not whole", case.is_whole, page,
                 refused=True)
    checks.check("its guest finds another checksum", case.runs, page, STOCK, refused=True)
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
    for name in ("pc72-boot", "pc100-boot"):
        case, sealed = Case(place, name), place.new("sealed")
        if checks.check(f"{name} is sealed", place.tool, "seal", case.stream, "-o", sealed):
            checks.check("sealed it is resumed by QEMU as it was", case.resumes, sealed)
            if case.program != place.qemu_10:
                checks.check("and goes on in QEMU 10", case.runs, sealed, place.qemu_10)
    case, sealed = Case(place, "pc100-boot-mapped"), place.new("sealed")
    if checks.check("a stream of mapped-ram is sealed", place.tool, "seal", case.stream, "-o", sealed):
        checks.check("sealed it goes on in QEMU", case.runs, sealed, case.program)


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
    for machine, program in (("pc-q35-7.2", STOCK), ("pc-q35-10.0", place.qemu_10)):
        checks.check(f"a guest that boots here on {machine} migrates and goes on",
                     live.boots_and_goes_on, place, machine, program)
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
    for interface in (tpm.TIS, tpm.CRB):
        with_tpm(checks, place, interface)


def with_tpm(checks, place, interface):
    """A guest with a TPM."""
    move, name = live.TPMMove(place, interface), f"the guest with {interface.name}"
    if not checks.check(f"PCRs and an NV index migrate with {name}", move.travels):
        return
    # In real mode no register has much in it; its section has. So has the section of TIS: its buffer
    # is in it.
    for section in ("cpu", "tpm-emulator", *([] if interface.memory else [interface.name])):
        section_hidden(checks, name, move, section)
    if interface.memory:
        buffer = clear.windows(move.buffer)
        checks.check("what its TPM answered is not in the clear", clear.none_in, buffer, move.snp,
                     "the buffer")
        checks.check("it is in its plain stream", clear.none_in, buffer, move.plain, "the buffer",
                     refused=True)


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


def layouts(checks, place):
    """Guests with several RAM blocks."""
    for name, arguments, options, addresses in layout.LAYOUTS:
        checks.check(f"a guest with {name} is private where QEMU has its memory", layout.secret,
                     place, arguments, options, addresses)
        if options:
            checks.check("without a word of where that lies it is refused", layout.secret, place,
                         arguments, [], addresses, refused=True)


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
        for part in (fixtures, damages, sealed, layouts, running, nothing):
            part(checks, place)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
