"""Guests that run in a QEMU here, are stopped, migrate through save and load, and go on in another
QEMU; and memory that was never in one."""

import os

from check import Refused
from guests import Guest
from machine import TPM, until
from tpm import QTEST, nv_read

PLAIN = ["-accel", "tcg", "-display", "none", "-monitor", "none", "-serial", "file:serial.log",
         "-m", "8M"]
FLOPPY = ["-drive", "file=boot.img,format=raw,if=floppy,readonly=on"]
DISK = ["-drive", "file=boot.img,format=raw,if=ide,snapshot=on"]
NV_INDEX, NV_SIZE = 0x1500016, 32
# Those that the firmware extends before it starts a guest.
FIRMWARE_PCRS = range(8)


class Move:
    """A guest on its way from one QEMU to another, and what was seen of it at the source."""

    def __init__(self, place, kind):
        self.place, self.guest = place, Guest(kind)
        self.console = self.registers = self.stream = self.snp = self.plain = None

    def ticks(self, console, more):
        """Ticks of a console, if they are enough and there is a checksum."""
        ticks, sums, problem = self.guest.read(console)
        if problem is not None:
            raise Refused(problem)
        return len(ticks) >= more and sums >= 1 and ticks

    def leave(self, machine):
        """The guest has run a while here; it is stopped, saved, and taken through the tools."""
        until(lambda: self.ticks(machine.serial(), 3), "three ticks and a checksum")
        machine.command("stop")
        self.take(machine)

    def take(self, machine):
        """Saves a guest that is stopped, and ends its machine."""
        self.stream = machine.save(self.place.new("stream"))
        self.registers, self.console = machine.registers(), machine.serial()
        machine.close()
        self.snp, self.plain = self.place.rewrite(self.stream)
        self.place.compare(self.stream, self.plain)

    def arrive(self, machine):
        """The guest is loaded with the registers it had."""
        machine.load(self.plain)
        machine.has_registers(self.registers)

    def go_on(self, machine):
        """The guest is loaded, and ticks on: no tick is missing between the two consoles, and none
        is there twice."""
        self.arrive(machine)
        before = len(self.guest.read(self.console)[0])
        machine.command("cont")
        ticks = until(lambda: self.ticks(self.console + machine.serial(), before + 3),
                      "three more ticks and a checksum")
        return f"ticks {ticks[0]} to {ticks[before - 1]}, then {ticks[before]} to {ticks[-1]}"


def boots_and_goes_on(place, machine, program):
    """The boot sector, from cold boot on, on a q35 machine with a disk."""
    move = Move(place, "boot")
    arguments = [*PLAIN, "-M", machine, *DISK]
    with place.machine(arguments, program=program) as source:
        move.leave(source)
    with place.machine(arguments, incoming=True, program=program) as destination:
        return move.go_on(destination)


def linux_goes_on(case, move):
    """The small Linux runs here, and then migrates."""
    with case.place.machine(case.arguments, incoming=True) as source:
        source.load(case.stream)
        source.command("cont")
        move.leave(source)
    with case.place.machine(case.arguments, incoming=True) as destination:
        return move.go_on(destination)


class TPMMove(Move):
    """The boot sector in a machine with a TPM, in which there is an NV index with a secret."""

    def __init__(self, place, interface):
        super().__init__(place, "boot")
        self.interface, self.secret = interface, os.urandom(NV_SIZE)
        self.pcrs = self.buffer = None
        self.arguments = [*PLAIN, "-M", "pc-i440fx-7.2", *FLOPPY, *QTEST]

    def fill(self, tpm):
        """Puts the secret into an NV index."""
        content = self.place.new("nv")
        content.write_bytes(self.secret)
        tpm.tool("tpm2_nvdefine", hex(NV_INDEX), "-C", "o", "-s", str(NV_SIZE),
                 "-a", "ownerread|ownerwrite")
        tpm.tool("tpm2_nvwrite", hex(NV_INDEX), "-C", "o", "-i", content)
        tpm.tool("tpm2_shutdown")

    def holds_secret(self, tpm):
        if tpm.tool("tpm2_nvread", hex(NV_INDEX), "-C", "o") != self.secret:
            raise Refused("the NV index has other content")

    def guest_reads_secret(self, machine):
        if nv_read(machine, self.interface, NV_INDEX, NV_SIZE) != self.secret:
            raise Refused("the guest reads another NV index")

    def buffer_of(self, machine):
        """What the interface has in memory: the TPM's last answer."""
        return machine.memory(*self.interface.memory) if self.interface.memory else b""

    def arrive(self, machine):
        super().arrive(machine)
        if self.buffer_of(machine) != self.buffer:
            raise Refused("the interface's buffer has other content")

    def travels(self):
        """PCRs and NV index are at the destination as the source left them. Both are read from the
        swtpm process behind a machine after that is gone, and the index by the machine itself."""
        with TPM(self.place.new("tpm")) as tpm:
            self.fill(tpm)
            with self.place.machine([*self.arguments, *tpm.arguments(self.interface.name)]) as source:
                until(lambda: self.ticks(source.serial(), 3), "three ticks and a checksum")
                source.command("stop")
                self.guest_reads_secret(source)
                self.buffer = self.buffer_of(source)
                self.take(source)
            self.pcrs = tpm.pcrs()
            self.holds_secret(tpm)
        if any(not any(self.pcrs[number]) for number in FIRMWARE_PCRS):
            raise Refused("the firmware measured nothing")
        with TPM(self.place.new("tpm")) as tpm:
            self.is_another(tpm)
            arguments = [*self.arguments, *tpm.arguments(self.interface.name)]
            with self.place.machine(arguments, incoming=True) as destination:
                note = self.go_on(destination)
                self.guest_reads_secret(destination)
            if tpm.pcrs() != self.pcrs:
                raise Refused("PCRs have other values")
            self.holds_secret(tpm)
        return f"{len(self.pcrs)} PCRs, {NV_SIZE} bytes of NV, {note}"

    def is_another(self, tpm):
        """A destination's TPM has none of it before."""
        if any(any(tpm.pcrs()[number]) for number in FIRMWARE_PCRS):
            raise Refused("the destination's TPM is not new")
        try:
            self.holds_secret(tpm)
        except Refused:
            return
        raise Refused("the destination's TPM has the NV index already")


def memory_arrives(place, guest, image, machine, *options, size="8M"):
    """Memory that no QEMU saved becomes a stream that QEMU loads."""
    with place.machine([*PLAIN, "-M", machine, "-m", size, "-nodefaults"], incoming=True) as loaded:
        loaded.load(place.migrate(guest, *options)[1])
        memory = image.read_bytes()
        # At a PC's addresses from 640 KiB to 1 MiB there is other memory.
        high = 0xA0000 if machine == "none" else 0x100000
        for begin, end in ((0, 0xA0000), (high, len(memory))):
            if loaded.memory(begin, end - begin) != memory[begin:end]:
                raise Refused(f"memory from {begin:#x} on differs")
    return f"{len(memory)} bytes"
