"""Reads an NV index of a machine's TPM through the interface that its guest has: `tpm-tis` or
`tpm-crb`.

No guest here has a driver, so the accesses come from QEMU's qtest socket. What was asked and
answered stays in the interface's buffer, and so in what QEMU saves, as after a driver's command.
Registers and addresses are those of TCG's PC Client specification, locality 0.
"""

import struct

from check import Refused
from machine import connect, until

BASE = 0xFED40000
QTEST = ["-qtest", "unix:qtest,server=on,wait=off", "-qtest-log", "/dev/null"]


class Accesses:
    """A machine's physical addresses from BASE on."""

    def __init__(self, file):
        self.file = file

    def access(self, command, offset, *words):
        print(command, hex(BASE + offset), *words, file=self.file, flush=True)
        answer = self.file.readline().split()
        if answer[:1] != ["OK"]:
            raise Refused(f"qtest answers {answer}")
        return answer[1] if len(answer) > 1 else None

    def byte(self, offset):
        return int(self.access("readb", offset), 16)

    def set_byte(self, offset, value):
        self.access("writeb", offset, hex(value))

    def word(self, offset):
        return int(self.access("readl", offset), 16)

    def set_word(self, offset, value):
        self.access("writel", offset, hex(value))

    def bytes(self, offset, size):
        return bytes.fromhex(self.access("read", offset, hex(size))[2:])

    def set_bytes(self, offset, content):
        self.access("write", offset, hex(len(content)), f"0x{content.hex()}")


class TIS:
    """Commands and answers go byte by byte through one register; the buffer is the device's own."""

    name, memory = "tpm-tis", None
    ACCESS, STATUS, FIFO = 0x0, 0x18, 0x24
    REQUEST_USE, COMMAND_READY, GO, DATA_AVAILABLE = 0x02, 0x40, 0x20, 0x10

    @classmethod
    def transmit(cls, machine, command):
        machine.set_byte(cls.ACCESS, cls.REQUEST_USE)
        machine.set_byte(cls.STATUS, cls.COMMAND_READY)
        for byte in command:
            machine.set_byte(cls.FIFO, byte)
        machine.set_byte(cls.STATUS, cls.GO)
        until(lambda: machine.byte(cls.STATUS) & cls.DATA_AVAILABLE, "the TPM answers")
        answer = bytes(machine.byte(cls.FIFO) for _ in range(10))
        return answer + bytes(machine.byte(cls.FIFO) for _ in range(length(answer) - 10))


class CRB:
    """Commands and answers lie in a buffer that is memory: a RAM block of its own."""

    name, BUFFER, SIZE = "tpm-crb", 0x80, 0xF80
    memory = (BASE + BUFFER, SIZE)
    LOCALITY_CONTROL, REQUEST, START = 0x08, 0x40, 0x4C
    REQUEST_ACCESS, COMMAND_READY, INVOKE = 0x01, 0x01, 0x01

    @classmethod
    def transmit(cls, machine, command):
        machine.set_word(cls.LOCALITY_CONTROL, cls.REQUEST_ACCESS)
        machine.set_word(cls.REQUEST, cls.COMMAND_READY)
        machine.set_bytes(cls.BUFFER, command)
        machine.set_word(cls.START, cls.INVOKE)
        until(lambda: not machine.word(cls.START) & cls.INVOKE, "the TPM answers")
        return machine.bytes(cls.BUFFER, length(machine.bytes(cls.BUFFER, 10)))


def length(header):
    """Bytes of a TPM's answer, by the first 10 of them."""
    return int.from_bytes(header[2:6], "big")


def nv_read(machine, interface, index, size):
    """Content of an NV index that its owner, with an empty password, may read."""
    with connect(machine.folder / "qtest") as channel, channel.makefile("rw") as file:
        answer = interface.transmit(Accesses(file), nv_read_command(index, size))
    code = int.from_bytes(answer[6:10], "big")
    if code != 0:
        raise Refused(f"the TPM answers {code:#x}")
    # Behind the header: size of the parameters, size of the content, content.
    return answer[16:16 + size]


def nv_read_command(index, size):
    """TPM2_NV_Read with the owner's authorization in a password session."""
    owner, password, no_nonce = 0x40000001, 0x40000009, 0
    session = struct.pack(">IHBH", password, no_nonce, 0, 0)
    body = struct.pack(">III", owner, index, len(session)) + session + struct.pack(">HH", size, 0)
    return struct.pack(">HII", 0x8002, 10 + len(body), 0x14E) + body
