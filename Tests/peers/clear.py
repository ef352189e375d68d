"""Searches a stream for bytes that must not be readable in it.

Trivial, and not searched for, is what stands in any file by chance or by habit:
- of bytes in a row (state of a TPM, of a CPU): a window of 16 bytes in which some 8 have fewer than
  4 different values: lengths, flags, padding, small numbers. Keys, seeds, digests and contents
  worth hiding have windows that are not so, and such a one stands nowhere else by chance.
- of registers: 8 bytes with fewer than 4 different values besides 00 and ff: counters, flags, zero.
  What is left are addresses and data: by chance such 8 bytes stand at a place of ciphertext once in
  2^64, and at one that has the right zeros already once in 2^32.
"""

import re

from check import Refused

WINDOW, PART = 16, 8


def tells(window):
    return all(len(set(window[at:at + PART])) >= 4 for at in range(WINDOW - PART + 1))


def windows(secret):
    """The windows of bytes in a row that are worth searching for."""
    every = {secret[at:at + WINDOW] for at in range(len(secret) - WINDOW + 1)}
    return {window for window in every if tells(window)}


def found(wanted, stream):
    """Those windows that stand in the stream, at any place.

    Each place of 16 bytes covers 8 that begin at a multiple of 8. Only those are looked up: some
    hundred times faster than to search for each window."""
    by_part = {}
    for window in wanted:
        for at in range(PART):
            by_part.setdefault(window[at:at + PART], []).append((window, at))
    keys = {int.from_bytes(part, "little") for part in by_part}
    words = memoryview(stream)[:len(stream) // PART * PART].cast("Q")
    met = set()
    for number, word in enumerate(words):
        if word in keys:
            for window, at in by_part[word.to_bytes(PART, "little")]:
                begin = number * PART - at
                if stream[begin:begin + WINDOW] == window:
                    met.add(window)
    return met


def register_values(text):
    """What `info registers` of QEMU's monitor shows in 16 digits (general registers, bases of
    segments and tables, halves of xmm), as 8 bytes, big-endian, if not trivial."""
    values = map(bytes.fromhex, re.findall(r"\b[0-9a-f]{16}\b", text))
    return {value for value in values if len(set(value) - {0, 255}) >= 4}


def section(stream, name):
    """Where a full section of instance 0 begins, and its body. It has a byte 04, an id, the name's
    length and the name, an instance and a version; each number but the length has 4 bytes."""
    label = bytes([len(name)]) + name.encode() + bytes(4)
    at = stream.index(label)
    while stream[at - 5] != 4:
        at = stream.index(label, at + 1)
    return at - 5, at + len(label) + 4


def body(stream, name):
    """Body of a full section of instance 0, in a stream with footers."""
    header, begin = section(stream, name)
    return stream[begin:stream.index(b"\x7e" + stream[header + 1:header + 5], begin)]


def no_section_in(plain, path, name):
    """Nothing of the body of a section of a plain stream stands in a file."""
    stream = plain.read_bytes()
    # Names of subsections stand in the VM description, too, which has no state: only names and
    # sizes, as text without a zero byte, at the end.
    names = stream[stream.rindex(b"\0"):]
    wanted = {window for window in windows(body(stream, name)) if window not in names}
    return none_in(wanted, path, name)


def none_in(wanted, path, name):
    """None of some windows stands in a file, and there are some."""
    met = found(wanted, path.read_bytes())
    if met or not wanted:
        raise Refused(f"{len(met)} of {len(wanted)} windows of {name} stand in it")
    return f"{len(wanted)} windows"


def no_registers_in(text, path):
    """None of the registers that QEMU's monitor showed stands in a file, in either byte order."""
    stream, values = path.read_bytes(), register_values(text)
    met = [value for value in values if value in stream or value[::-1] in stream]
    if met or not values:
        raise Refused(f"{len(met)} of {len(values)} registers stand in it")
    return f"{len(values)} registers"
