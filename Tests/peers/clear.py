"""Searches a stream for bytes that must not be readable in it.

Trivial, and not searched for, is what stands in any file by chance or by habit:
- of bytes in a row (state of a TPM, of a CPU): a window of 16 bytes in which some 8 have fewer than 4
  different values: lengths, flags, padding, small numbers. Keys, seeds, digests and contents worth
  hiding have windows that are not, and such a one stands nowhere else by chance.
- of registers: 8 bytes with fewer than 4 different values besides 00 and ff: counters, flags, zero.
  What is left are addresses and data. Four given bytes stand at a given place by chance once in
  2^32, and most of a stream is not even right for the others.
"""

import re

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
