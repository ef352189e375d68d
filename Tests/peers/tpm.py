"""Reads an NV index of a machine's TPM through the interface that its guest has (TIS, `tpm-tis`).

No guest here has a driver, so the accesses come from QEMU's qtest socket. What was asked and
answered stays in the device's buffer, and so in what QEMU saves, as after a driver's command.
"""

import struct

from check import Refused
from machine import connect, until

# TCG PC Client TPM interface, locality 0.
BASE, ACCESS, STATUS, FIFO = 0xFED40000, 0x0, 0x18, 0x24
REQUEST_USE, COMMAND_READY, GO, DATA_AVAILABLE = 0x02, 0x40, 0x20, 0x10
QTEST = ["-qtest", "unix:qtest,server=on,wait=off", "-qtest-log", "/dev/null"]


def nv_read(machine, index, size):
    """Content of an NV index that its owner, with an empty password, may read."""
    with connect(machine.folder / "qtest") as channel, channel.makefile("rw") as file:

        def access(*words):
            print(*words, file=file, flush=True)
            answer = file.readline().split()
            if answer[:1] != ["OK"]:
                raise Refused(f"qtest answers {answer}")
            return int(answer[1], 16) if len(answer) > 1 else None

        def read(register):
            return access("readb", hex(BASE + register))

        def write(register, value):
            access("writeb", hex(BASE + register), hex(value))

        write(ACCESS, REQUEST_USE)
        write(STATUS, COMMAND_READY)
        for byte in nv_read_command(index, size):
            write(FIFO, byte)
        write(STATUS, GO)
        until(lambda: read(STATUS) & DATA_AVAILABLE, "the TPM answers")
        answer = bytes(read(FIFO) for _ in range(10))
        length, code = struct.unpack(">II", answer[2:])
        answer += bytes(read(FIFO) for _ in range(length - 10))
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
