"""The words that the inputs are made of."""

import json
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def be(size, value):
    return value.to_bytes(size, "big")


def name(text):
    return be(1, len(text)) + text.encode()


HEADER = b"QEVM" + be(4, 3) + b"\x07" + be(4, 13) + b"pc-i440fx-7.2"
END = be(8, 0x10)


def section(kind, number, title=None, instance=0, version=1, body=b""):
    head = name(title) + be(4, instance) + be(4, version) if kind in (1, 4) else b""
    return be(1, kind) + be(4, number) + head + body + b"\x7e" + be(4, number)


def ram(blocks):
    total = sum(size for _, size in blocks)
    listed = b"".join(name(block) + be(8, size) for block, size in blocks)
    return section(1, 2, "ram", 0, 4, be(8, total | 4) + listed + END)


def described(devices):
    text = devices if isinstance(devices, bytes) else json.dumps(
        {"page_size": 4096, "devices": devices}).encode()
    return b"\x06" + be(4, len(text)) + text


def plain(sections, devices):
    page = be(8, 2) + name("pc.ram") + b"\0" + END
    return (HEADER + ram([("pc.ram", 4096)]) + section(3, 2, body=page) + sections + b"\0"
            + described(devices))


def no_pages(size):
    """A stream of a block without its pages."""
    return HEADER + ram([("pc.ram", size)]) + section(3, 2, body=END) + b"\0"
