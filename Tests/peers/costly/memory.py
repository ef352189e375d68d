"""Plain streams with pages that lie far from each other, or are named in turn."""

import random
import zlib

from .wire import END, HEADER, be, described, name, ram, section
from .devices import device


def blocks_in_turn(blocks, pages):
    """Page records that name many blocks with long names in turn: no two are of one run."""
    listed = [(f"b{i}".ljust(250, "n"), 4096) for i in range(blocks)]
    turn = b"".join(be(8, 2) + name(block) + b"\0" for block, _ in listed)
    return (HEADER + ram(listed) + section(2, 2, body=turn * (pages // blocks) + END)
            + section(3, 2, body=END) + b"\0")


def whole_block(pages, every_second):
    """A block of zero pages, or one of which each second page was sent packed."""
    made = zlib.compress(b"\x5a" * 4096)
    sent = b"".join(
        be(8, i << 12 | 0x120) + be(4, len(made)) + made if every_second and i % 2
        else be(8, i << 12 | 0x22) + b"\0" for i in range(1, pages))
    return (HEADER + ram([("pc.ram", pages << 12)])
            + section(2, 2, body=be(8, 2) + name("pc.ram") + b"\0" + sent + END)
            + section(3, 2, body=END) + b"\0")


def listed_blocks(pages, byte):
    """As many blocks as there may be, with long names, and pages of each."""
    listed = [(f"b{i}".ljust(250, "n"), pages << 12) for i in range(4096)]
    sent = b"".join(
        be(8, 8) + name(block) + byte * 4096
        + b"".join(be(8, i << 12 | 0x22) + b"\0" for i in range(1, pages)) for block, _ in listed)
    return HEADER + ram(listed) + section(2, 2, body=sent + END) + section(3, 2, body=END) + b"\0"


def plugged(body, lengths, early):
    """RAM blocks below the path of a virtio-mem device, of whose memory a section says what is plugged
    in."""
    path = "0000:00:02.0/"
    device_name = path + ("virtio-mem-device-early" if early else "virtio-mem")
    said = section(4, 10, device_name, body=body)
    page = be(8, 2) + name("pc.ram") + b"\0" + END
    field = {"name": "a", "type": "buffer", "size": len(body)}
    listed = ram([("pc.ram", 4096)] + [(f"{path}vm{i}", length) for i, length in enumerate(lengths)])
    return (HEADER + (said + listed if early else listed + said) + section(3, 2, body=page) + b"\0"
            + described([device(device_name, [field])]))


def every_second_block(size, others=0, step=0):
    """A bitmap of a virtio-mem device that has as many ranges as it can. Other RAM blocks below its path
    are each longer by `step` pages."""
    blocks = 8 * size
    head = be(8, 0) + be(8, blocks << 12) + be(8, 4096) + be(4, 0) + be(8, blocks << 11)
    return plugged(head + b"\xaa" * size,
                   [blocks + step * i << 12 for i in range(1 + others)], True)


def record_upon_record(count):
    """A section of a virtio-mem device that is a record at each third word."""
    return plugged((be(8, 0) + be(8, 1 << 32) + be(8, 4096)) * count, [1 << 32], False)


def records_before_bitmap(size, others):
    """A section of a virtio-mem device of which as many places as are tried may be the record, each with
    a large bitmap, and RAM blocks of its length."""
    length = size << 15
    records = (be(8, 0) + be(8, length) + be(8, 4096)) * 64
    return plugged(records.ljust(size + 4096, b"\xaa"), [length] * (1 + others), False)


def discards(regions, ranges):
    """A page in each of many regions, and a command that takes all back, again and again."""
    size = 1 << 42
    pages = b"".join(
        be(8, (i << 21) | (0x22 if i else 2)) + (b"" if i else name("pc.ram")) + b"\0"
        for i in range(regions))
    payload = b"\0" + name("pc.ram") + b"\0" + (be(8, 0) + be(8, size)) * ranges
    command = b"\x08" + be(2, 6) + be(2, len(payload)) + payload
    return (HEADER + ram([("pc.ram", size)]) + section(2, 2, body=pages + END) + command * 10
            + section(3, 2, body=END) + b"\0")


def named_pages(blocks, pages):
    """Page records that each name the last of many blocks."""
    listed = [(f"b{i}", 4096) for i in range(blocks)]
    record = be(8, 2) + name(listed[-1][0]) + b"\0"
    return (HEADER + ram(listed) + section(2, 2, body=record * pages + END)
            + section(3, 2, body=END) + b"\0")


def claimed(size):
    """A block of many bytes, of which two pages came: the first and the last."""
    pages = be(8, 8) + name("pc.ram") + b"\x5a" * 4096 + be(8, (size - 4096) | 0x28) + b"\xa5" * 4096
    return (HEADER + ram([("pc.ram", size)]) + section(2, 2, body=pages + END)
            + section(3, 2, body=END) + b"\0")


def pages_in_turn(blocks, pages):
    """A page of each of many blocks, then zero pages that name them in turn, so that none follows
    another."""
    listed = [(f"b{i}", 4096) for i in range(blocks)]
    content = b"".join(be(8, 8) + name(block) + b"\x5a" * 4096 for block, _ in listed)
    zeros = b"".join(be(8, 2) + name(block) + b"\0" for block, _ in listed) * (pages // blocks)
    return (HEADER + ram(listed) + section(2, 2, body=content + zeros + END)
            + section(3, 2, body=END) + b"\0")


def far_pages(count, each=1):
    """Zero pages in the first block that are far from each other: so many in each 2 MiB but the first."""
    offsets = ((region << 21) | (page << 12) for region in range(1, count) for page in range(each))
    first = be(8, next(offsets) | 2) + name("pc.ram") + b"\0"
    return first + b"".join(be(8, offset | 0x22) + b"\0" for offset in offsets)


def far_plain(count, each):
    """A plain stream of such pages."""
    return (HEADER + ram([("pc.ram", count << 21)]) + section(2, 2, body=far_pages(count, each) + END)
            + section(3, 2, body=END) + b"\0")


def in_disorder(count):
    """A plain stream of one zero page in each 2 MiB, in an order in which no page is near the one before."""
    order = list(range(1, count))
    random.Random(1).shuffle(order)
    pages = be(8, 2) + name("pc.ram") + b"\0"
    pages += b"".join(be(8, region << 21 | 0x22) + b"\0" for region in order)
    return (HEADER + ram([("pc.ram", count << 21)]) + section(2, 2, body=pages + END)
            + section(3, 2, body=END) + b"\0")


def sent_twice(count, each):
    """A plain stream that has all of them in two rounds."""
    pages = section(2, 2, body=far_pages(count, each) + END)
    return HEADER + ram([("pc.ram", count << 21)]) + pages + pages + section(3, 2, body=END) + b"\0"


def repeated_page(count):
    """A plain stream that has one page again and again."""
    pages = be(8, 2) + name("pc.ram") + b"\0" + (be(8, 0x22) + b"\0") * count
    return (HEADER + ram([("pc.ram", 1 << 20)]) + section(2, 2, body=pages + END)
            + section(3, 2, body=END) + b"\0")


def sparse(path, size):
    """A mapped-ram file with one block that is one hole."""
    words = b"QEVM" + be(4, 3) + b"\x07" + be(4, 11) + b"pc-q35-10.0"
    words += b"\x05" + name("configuration/capabilities") + be(4, 1) + be(4, 1) + name("mapped-ram")
    words += be(1, 1) + be(4, 2) + name("ram") + be(4, 0) + be(4, 4) + be(8, size | 4)
    words += name("pc.ram") + be(8, size) + be(4, 1) + be(8, 4096)
    bitmap = (len(words) + 16 + 4095) & ~4095
    pages = (bitmap + size // 4096 // 8 + (1 << 20)) & ~4095
    words += be(8, bitmap) + be(8, pages)
    rest = END + b"\x7e" + be(4, 2) + section(3, 2, body=END) + b"\0"
    with path.open("wb") as file:
        file.write(words)
        file.seek(pages + size)
        file.write(rest)
