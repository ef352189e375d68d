"""Images, channels and packed files around a stream."""

import bz2
import lzma
import zlib

from .wire import END, HEADER, be, name, no_pages, ram, section
from .devices import filled


def qcow2_header(bits, snapshots, offset, is_zstd=False):
    """The header of an image of a disk without bytes, but for its size of 112 bytes."""
    return (b"QFI\xfb" + be(4, 3) + be(8, 0) + be(4, 0) + be(4, bits) + be(8, 0) + be(4, 0) * 2
            + be(8, 0) * 2 + be(4, 0) + be(4, snapshots) + be(8, offset) + be(8, 8 * is_zstd)
            + be(8, 0) * 2 + be(4, 4) + be(4, 112) + be(8, is_zstd << 56))


def compressed_state(bits, places, body, is_zstd=False):
    """A qcow2 image of one snapshot, x, whose state is compressed clusters at these places of its body."""
    cluster = 1 << bits
    tables = -(-len(places) * 8 // cluster)
    first = cluster + -(-tables * 8 // cluster) * cluster
    start = first + tables * cluster
    entry = (be(8, cluster) + be(4, tables) + be(2, 1) * 2 + be(8, 0) * 2 + be(4, 0) + be(4, 24)
             + be(8, len(places) * cluster) + be(8, 0) * 2 + b"1x")
    head = qcow2_header(bits, 1, 256, is_zstd).ljust(256, b"\0") + entry
    listed = b"".join(be(8, first + cluster * i) for i in range(tables))
    entries = b"".join(
        be(8, 1 << 62 | ((start + end - 1) // 512 - (start + place) // 512) << 70 - bits | start + place)
        for place, end in places)
    return (head.ljust(cluster, b"\0") + listed.ljust(first - cluster, b"\0")
            + entries.ljust(start - first, b"\0") + body + bytes(-len(body) % 512))


def deflated(content):
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return made.compress(content) + made.flush()


def shared_sector(bits, count):
    """An image of which all compressed clusters but the first lie at two places of one sector, in turn."""
    zeros = deflated(bytes(1 << bits))
    first = deflated(no_pages(4096).ljust(1 << bits, b"\0"))
    places = [(len(first) + i * len(zeros), len(first) + (i + 1) * len(zeros)) for i in range(2)]
    return compressed_state(bits, [(0, len(first))] + places * (count // 2), first + zeros * 2)


def shared_frames(count):
    """The same of clusters of 2 MiB, packed by zstd."""
    def frame(content):
        block = (128 << 10 << 3 | 2).to_bytes(3, "little") + b"\0"
        head = (len(content) << 3).to_bytes(3, "little") + content if content else b""
        rest = ((128 << 10) - len(content) << 3 | 3).to_bytes(3, "little") + b"\0"
        return b"\x28\xb5\x2f\xfd\0\x58" + head + block * 15 + rest
    first, zeros = frame(no_pages(4096)), frame(b"")
    places = [(len(first) + i * len(zeros), len(first) + (i + 1) * len(zeros)) for i in range(2)]
    return compressed_state(
        21, [(0, len(first))] + places * (count // 2), first + zeros * 2, is_zstd=True)


def packed_in_clusters(count):
    """An image whose compressed clusters hold a stream and zeros that bzip2 packed."""
    content = many_zeros(count)
    places, body = [], b""
    for start in range(0, len(content), 65536):
        made = deflated(content[start:start + 65536].ljust(65536, b"\0"))
        places.append((len(body), len(body) + len(made)))
        body += made
    return compressed_state(16, places, body)


def many_zeros(count):
    """A stream that bzip2 packed, and zeros behind it, in pieces that are as long as its blocks allow."""
    return bz2.compress(no_pages(4096)) + bz2.compress(bytes(45_900_000)) * count


def snapshots(count, name_size):
    """A qcow2 image of snapshots with long names that are no text."""
    entry = be(8, 0) + be(4, 0) + be(2, 5) + be(2, name_size) + be(8, 0) * 2 + be(4, 0) + be(4, 24)
    entry += be(8, 100) + be(8, 0) * 2
    header = qcow2_header(16, count, 65536)
    filled = b"\x01" * name_size + bytes(-(len(entry) + 5 + name_size) % 8)
    return header.ljust(65536, b"\0") + b"".join(
        entry + b"%05d" % i + filled for i in range(count))


def zstd_channel(number):
    """A multifd channel of packets that unpack to 128 MiB of one byte, all within one window."""
    start = be(4, 0x11223344) + be(4, 1)
    block = ((128 << 10) << 3 | 2).to_bytes(3, "little") + b"\x5a"
    made = start + bytes(16) + bytes([number]) + bytes(39)
    for packet in range(256):
        # The frame's header says a window of 128 MiB.
        payload = (b"" if packet else b"\x28\xb5\x2f\xfd\0\x88") + block * 4
        made += (start + be(4, 4) + be(4, 128) * 2 + be(4, len(payload)) + bytes(40)
                 + b"pc.ram".ljust(256, b"\0") + b"".join(be(8, 4096 * i) for i in range(128))
                 + payload)
    return made


def empty_blocks(count):
    """A frame of lz4 with blocks of 4 MiB that refer to each other: a stream, then blocks of no byte."""
    def stored(content):
        return (1 << 31 | len(content)).to_bytes(4, "little") + content
    # The last byte of the header is a checksum of the two before it.
    return (b"\x04\x22\x4d\x18\x40\x70\xdf" + stored(no_pages(4096).ljust(1 << 20, b"\0"))
            + stored(b"") * count + bytes(4))


def packed_twice(count):
    """A file of bzip2 with an image of libvirt that bzip2 packed, too: a stream, and then zeros."""
    def little(*words):
        return b"".join(word.to_bytes(4, "little") for word in words)
    image = b"LibvirtQemudSave" + little(2, 0, 1, 2, 0) + bytes(56)
    return bz2.compress(image + many_zeros(count))


def descriptors(count):
    """The state of CPR with descriptors of the longest names, each byte of which is shown as four."""
    return (b"QCPR" + be(4, 1)
            + (b"\x01" + be(4, 256) + b"\x01" * 255 + b"\0" + be(4, 1) + be(4, 7)) * count + b"\0")


def packed_records(count):
    """A file of xz with a plain stream that has one compressed page again and again, each a few bytes."""
    packed = zlib.compress(bytes(4096), 9)
    rest = be(4, len(packed)) + packed
    pages = be(8, 0x100) + name("pc.ram") + rest + (be(8, 0x120) + rest) * (count - 1)
    return lzma.compress(HEADER + ram([("pc.ram", 1 << 20)]) + section(2, 2, body=pages + END)
                         + section(3, 2, body=END) + b"\0", preset=1)
