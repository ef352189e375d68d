#!/usr/bin/env python3
"""Passes an SNP stream on from standard input to standard output, as the host between two tools of a
live migration could, and does one thing to it at one moment.

usage: between.py WHAT [WHEN]

WHEN is a moment: `first` (within the first round), `later` (within a later one), `end` (in what comes
after the memory). What can be done is the methods of `Host`.
"""

import os
import subprocess
import sys

PART, END = b"\x02", b"\x03"
RAM, PAGES, EPOCHS = 2, 4, 5
HEAD, FOOT = 5, 5
PAGE_RECORD, TOKEN = 48 + 4096, 128
# What of a page record is not its content.
GPA, TAG, CONTENT = 8, 32, 48


class Host:
    """One change, made once, to records as they come."""

    def __init__(self, when):
        self.when, self.done, self.held = when, False, None
        self.round, self.pages, self.copy = 1, 0, None

    def is_due(self):
        """Whether this is the moment, for a record of memory."""
        if self.done or self.when == "end" or self.pages < 40:
            return False
        if (self.round == 1) != (self.when == "first"):
            return False
        self.done = True
        return True

    # Each takes a record of a kind and returns the bytes that are passed on in its place.

    def page(self, record):
        return record

    def token(self, record):
        return record

    def shared(self, record):
        return record

    def ends(self):
        """Called at the end of the memory."""

    def rest(self, data):
        return data


class Nothing(Host):
    pass


def flip(record, place):
    changed = bytearray(record)
    changed[place] ^= 1
    return bytes(changed)


class FlipContent(Host):
    def page(self, record):
        return flip(record, HEAD + CONTENT + 100) if self.is_due() else record

    def rest(self, data):
        if self.when == "end" and not self.done and len(data) > 3000:
            self.done = True
            return flip(data, len(data) // 2)
        return data


class FlipAddress(Host):
    def page(self, record):
        return flip(record, HEAD + GPA + 6) if self.is_due() else record


class FlipTag(Host):
    def page(self, record):
        return flip(record, HEAD + TAG) if self.is_due() else record


class Drop(Host):
    def page(self, record):
        return b"" if self.is_due() else record


class Twice(Host):
    def page(self, record):
        return record + record if self.is_due() else record


class Swap(Host):
    def page(self, record):
        if self.held:
            held, self.held = self.held, None
            return record + held
        if self.is_due():
            self.held = record
            return b""
        return record


class Replay(Host):
    """A page of the first round comes once more."""

    def page(self, record):
        if self.copy is None:
            self.copy = record
        return record + self.copy if self.is_due() else record


class DropToken(Host):
    def token(self, record):
        if self.done or (self.round == 1) != (self.when == "first"):
            return record
        self.done = True
        return b""


class FlipToken(Host):
    def token(self, record):
        if self.done or (self.round == 1) != (self.when == "first"):
            return record
        self.done = True
        return flip(record, HEAD + 20)


class FlipShared(Host):
    """Content of shared memory: only the seal shows it."""

    def shared(self, record):
        if self.done or len(record) < 9000:
            return record
        self.done = True
        return flip(record, len(record) - 2000)


class FlipEnd(Host):
    """A bit of the final state, or with `last` one of the seal."""

    def rest(self, data):
        if self.when == "end":
            return flip(data, len(data) // 3) if not self.done else data
        return data


class Cut(Host):
    def leave(self):
        sys.stdout.flush()
        os._exit(0)

    def page(self, record):
        if self.is_due():
            self.leave()
        return record

    def rest(self, data):
        if self.when == "end" and not self.done:
            os.write(1, data[:len(data) // 2])
            self.leave()
        return data


class Kill(Host):
    """Ends a process, by the command in KILL."""

    def strike(self):
        subprocess.run(os.environ["KILL"], shell=True, check=False)

    def page(self, record):
        if self.is_due():
            self.strike()
        return record

    def ends(self):
        if self.when == "end":
            self.strike()


KINDS = {kind.__name__: kind for kind in Host.__subclasses__()}


class Stream:
    def __init__(self, file):
        self.file = file

    def take(self, count):
        data = self.file.read(count)
        if len(data) < count:
            os.write(1, data)
            sys.exit(0)
        return data


def relay(host):
    source = Stream(sys.stdin.buffer)
    out = sys.stdout.buffer
    # Session, list of blocks, map: up to the start of the section of tokens.
    head = b""
    mark = b"\x01" + EPOCHS.to_bytes(4, "big") + bytes([10]) + b"snp-epochs"
    while not head.endswith(mark):
        head += source.take(1)
    # Instance and version, then a record of zeros.
    out.write(head + source.take(8 + TOKEN + FOOT))
    out.flush()
    while True:
        kind = source.take(1)
        if kind == END:
            break
        number = int.from_bytes(source.take(4), "big")
        record = kind + number.to_bytes(4, "big")
        if number == PAGES:
            record += source.take(PAGE_RECORD + FOOT)
            host.pages += 1
            record = host.page(record)
        elif number == EPOCHS:
            record += source.take(TOKEN + FOOT)
            record = host.token(record)
            host.round, host.pages = host.round + 1, 0
        else:
            record = host.shared(record + shared_body(source))
        out.write(record)
        out.flush()
    host.ends()
    out.write(host.rest(kind + source.file.read()))
    out.flush()


def shared_body(source):
    """The body of a part of `ram`, with its footer."""
    body = b""
    while True:
        word = source.take(8)
        body += word
        flags = word[7] | (word[6] & 0xF) << 8
        if flags & 0x10:
            return body + source.take(FOOT)
        if not flags & 0x20:
            size = source.take(1)
            body += size + source.take(size[0])
        body += source.take(4096 if flags & 0x08 else 1)


if __name__ == "__main__":
    relay(KINDS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "first"))
