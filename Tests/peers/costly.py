"""Inputs that are small and made to cost much. bounds.py measures what they cost."""

import base64
import bz2
import hashlib
import json
import pathlib
import random
import zlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


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


def device(title, fields):
    return {"name": title, "instance_id": 0, "vmsd_name": "x", "version": 1, "fields": fields}


def empty_arrays(count):
    """Sections of no bytes, each an array of 65536 elements of none."""
    field = {"name": "a", "array_len": 65536, "type": "uint8", "size": 0}
    return plain(b"".join(section(4, 10 + i, f"d{i}") for i in range(count)),
                 [device(f"d{i}", [field]) for i in range(count)])


def many_sections(count, body=b"x"):
    """Sections of distinct names, each described."""
    field = {"name": "a", "type": "uint8", "size": 1}
    return plain(b"".join(section(4, 10 + i, f"d{i}", body=body) for i in range(count)),
                 [device(f"d{i}", [field]) for i in range(count)])


def deep(size, depth, byte=b"\x5a"):
    """One body, described as a part of a part of a part."""
    field = {"name": "f", "type": "buffer", "size": size}
    for _ in range(depth):
        field = {"name": "f", "type": "tmp", "vmsd_name": "t", "version": 1, "fields": [field],
                 "size": size}
    return plain(section(4, 10, "d", body=byte * size), [device("d", [field])])


def long_names(count, fill="n", body=b"x"):
    """Sections of the longest names, which nothing describes."""
    sections = b"".join(
        section(4, 10 + i, f"d{i}".ljust(255, fill), body=body) for i in range(count))
    whole = plain(sections, b"{}")
    return whole[:whole.rfind(b"\x06")]


def blocks_in_turn(blocks, pages):
    """Page records that name many blocks with long names in turn: no two are of one run."""
    listed = [(f"b{i}".ljust(250, "n"), 4096) for i in range(blocks)]
    turn = b"".join(be(8, 2) + name(block) + b"\0" for block, _ in listed)
    return (HEADER + ram(listed) + section(2, 2, body=turn * (pages // blocks) + END)
            + section(3, 2, body=END) + b"\0")


def fields(byte):
    """Sections of many fields with long names and long values; some are too long to be read."""
    counts = [1 << 16] + [16000] * 2
    named = [{"name": f"f{i}".ljust(63, "f"), "type": "buffer", "size": 32}
             for i in range(max(counts))]
    return plain(
        b"".join(section(4, 10 + i, f"d{i}", body=byte * (32 * count))
                 for i, count in enumerate(counts)),
        [device(f"d{i}", named[:count]) for i, count in enumerate(counts)])


def structures(byte):
    """Sections of as many structures as are read of one, and of more."""
    inner = {"vmsd_name": "s", "version": 1,
             "fields": [{"name": "f", "type": "buffer", "size": 16}]}
    counts = [1 << 17, 32000, 32000]
    return plain(
        b"".join(section(4, 10 + i, f"d{i}", body=byte * (16 * count))
                 for i, count in enumerate(counts)),
        [device(f"d{i}", [{"name": "s", "array_len": count, "type": "struct", "size": 16,
                           "struct": inner}]) for i, count in enumerate(counts)])


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


def large_bodies(byte):
    """As many bytes of devices as are kept, which nothing describes."""
    bodies = b"".join(section(4, 10 + i, f"d{i}", body=byte * (2 << 20)) for i in range(16))
    whole = plain(bodies, b"{}")
    return whole[:whole.rfind(b"\x06")]


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


def description(element, size):
    """A description that is one array of small values."""
    text = b'{"devices": [], "x": [' + b",".join([element] * (size // (len(element) + 1))) + b"]}"
    return plain(b"", text)


def filled(start, part, end, most, size=(16 << 20) - 64):
    """A text of parts with numbers: as many as it has room for, or `most`."""
    count = min(most, (size - len(start) - len(end)) // (len(part % 0) + 1))
    return start + b",".join(part % i for i in range(count)) + end


FIELDS = b'{"devices":[{"name":"d","instance_id":0,"vmsd_name":"x","version":1,"fields":['
LIST = FIELDS + b'{"name":"a","type":"qlist","size":0,'
DEEP = b'{"name":"%07d","type":"b","size":0}'
for _ in range(19):
    # The type after what depends on it.
    DEEP = b'{"struct":{"fields":[' + DEEP + b']},"name":"a","size":0,"type":"struct"}'
PARTS = 262_000
# VM descriptions that have much in few bytes: how each begins, what it repeats, how it ends, and how much
# of that is read at most.
DESCRIPTIONS = {
    "lists": (LIST, b'"vmsd_name":"%010dabcdef","fields":[]', b"}]}]}", PARTS // 2),
    "short lists": (LIST, b'"vmsd_name":"%07d","fields":[]', b"}]}]}", PARTS),
    "fields": (FIELDS, b'{"name":"%016d","type":"0123456789abcdef","size":0}', b"]}]}", PARTS // 3),
    "short fields": (FIELDS, b'{"name":"%07d","type":"b","size":0}', b"]}]}", PARTS),
    "long fields": (FIELDS, b'{"name":"%090d","type":"' + b"t" * 70 + b'","size":0}', b"]}]}",
                    PARTS // 5),
    "structures": (FIELDS, b'{"name":"%07d","type":"struct","size":0,"struct":{"fields":[]}}', b"]}]}",
                   PARTS // 2),
    "subsections": (FIELDS + b'],"subsections":[', b'{"vmsd_name":"%07d","fields":[]}', b"]}]}", PARTS),
    "sections": (b'{"devices":[', b'{"name":"%0240d","instance_id":0,"fields":[]}', b"]}", 32_768),
    "arrays": (FIELDS, b'{"name":"%07d","type":"b","array_len":18446744073709551615,"size":0}', b"]}]}",
               PARTS),
    "deep": (FIELDS, DEEP, b"]}]}", PARTS // 39),
    "keys": (b'{"devices":[],"x":{', b'"%016d":0', b"}}", 1 << 30),
    "one name": (FIELDS + b'{"type":"b","size":0,"name":"', b"%07d", b'"}]}]}', 1 << 30)}


def described_much(kind, most=None, bodies=0):
    """A stream whose description of 16 MiB has as much as is read, or `most`; beside it sections of 2 MiB."""
    start, part, end, limit = DESCRIPTIONS[kind]
    text = filled(start, part, end, most or limit)
    sections = b"".join(section(4, 11 + i, f"e{i}", body=b"x" * (2 << 20)) for i in range(bodies))
    return plain(section(4, 10, "d") + sections, text[:1] + text[1:].rjust((16 << 20) - 64))


def described_parts(parts, fields):
    """A section in many parts of no bytes, described as many fields of none."""
    return plain(section(1, 10, "d") + section(2, 10) * parts + section(3, 10),
                 filled(FIELDS, b'{"name":"%07d","type":"b","size":0}', b"]}]}", fields))


def described_again(sections, fields):
    """Many sections of one name, described as many fields of one name."""
    named = be(1, 1) + b"d"
    return plain(b"".join(be(1, 4) + be(4, 10 + i) + named + bytes(7) + b"\1\x7e" + be(4, 10 + i)
                          for i in range(sections)),
                 filled(FIELDS, b'{"name":"a","type":"b","size":0,"x":%d}', b"]}]}", fields))


def commands(count, bodies):
    """Commands of 64 KiB each, and sections of 2 MiB."""
    payload = b"\0" + name("pc.ram") + b"\0" + (be(8, 4096) + be(8, 4096)) * 4090
    sections = b"".join(section(4, 10 + i, f"d{i}", body=b"x" * (2 << 20)) for i in range(bodies))
    pages = be(8, 2) + name("pc.ram") + b"\0" + be(8, 4096 | 0x22) + b"\0" + END
    return (HEADER + ram([("pc.ram", 8192)])
            + (b"\x08" + be(2, 6) + be(2, len(payload)) + payload) * count
            + section(3, 2, body=pages) + sections + b"\0")


def long_dump(start, part, end, most):
    """A dump of 16 MiB, unless `most` parts have fewer."""
    return filled(b'{"vmschkmachine":{"Name":"pc-i440fx-7.2"},' + start, part, end + b"}", most)


def dump(types, fields, name_size=0, prefix="f{}"):
    """A dump of types whose sections all have one name, with so many fields each."""
    listed = [{"field": prefix.format(i), "version_id": 0, "field_exists": False, "size": 1}
              for i in range(fields)]
    state = {"version_id": 1, "minimum_version_id": 1}
    state["Description"] = {"name": "x", **state, "Fields": listed}
    return json.dumps({"vmschkmachine": {"Name": "pc-i440fx-7.2"},
                       **{f"t{i}".ljust(name_size, "t"): state for i in range(types)}}).encode()


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


def machine(count):
    """A golden stream whose machine has many sections, in front of its seal."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    place = whole.find(b"\x08snp-vcpu") - 5
    entries = b"".join(
        bytes([4, 1, len(f"d{k}"), 0]) + be(4, k + 1000) + be(4, 0) + be(4, 1) + be(4, 0)
        + f"d{k}".encode() for k in range(count))
    entries += b"".join(
        bytes([k, 3, 3, 0]) + be(4, 2) + be(4, 0) + be(4, 4) + be(4, 0) + b"ram" for k in (1, 2, 3))
    body = be(2, 1) + be(2, 1) + be(4, count + 3) + be(4, 0) * 3 + entries
    sections = section(4, 0x500000, "snp-machine", 0, 1, be(4, len(body)) + body)
    sections += b"".join(section(4, 0x1000000 + k, f"d{k}") for k in range(count))
    return whole[:place] + sections + whole[place:]


def far_pages(count, each=1):
    """Zero pages in the first block that are far from each other: so many in each 2 MiB but the first."""
    offsets = ((region << 21) | (page << 12) for region in range(1, count) for page in range(each))
    first = be(8, next(offsets) | 2) + name("pc.ram") + b"\0"
    return first + b"".join(be(8, offset | 0x22) + b"\0" for offset in offsets)


def far_plain(count, each):
    """A plain stream of such pages."""
    return (HEADER + ram([("pc.ram", count << 21)]) + section(2, 2, body=far_pages(count, each) + END)
            + section(3, 2, body=END) + b"\0")


def marked(count):
    """A VM description with a name of marks in no order, which Unicode orders for each comparison."""
    marks = ("\u0300\u0316" * count).encode()
    return plain(b"", b'{"' + marks + b'":1,"page_size":4096,"devices":[{"name":"' + marks + b'"}]}')


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


def extended(parts, size=None, before_token=True):
    """A golden stream with more parts in its first epoch, and with another size of its RAM block."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    block = whole.find(b"\x03ram" + be(4, 0) + be(4, 4)) + 12
    assert whole[block + 8:block + 15] == name("pc.ram")
    if size:
        whole = whole[:block] + be(8, size | 4) + whole[block + 8:block + 15] + be(8, size) + \
            whole[block + 23:]
    tokens = whole.find(name("snp-epochs")) + len(name("snp-epochs")) + 8 + 128 + 5
    token = whole.find(be(1, 2) + be(4, 5), tokens)
    place = token if before_token else tokens
    return whole[:place] + parts + whole[place:]


def far_shared(count):
    """An SNP stream with shared pages that are far from each other."""
    return extended(section(2, 2, body=far_pages(count) + END), count << 21)


def many_epochs(count, regions):
    """An SNP stream of many epochs, all but the last forged, in two of which many pages are sent."""
    def token(epoch):
        return section(2, 5, body=be(4, epoch) + bytes(12) + be(8, 1) + bytes(104))
    pages = section(2, 2, body=far_pages(regions) + END)
    return extended(token(1) + pages + token(2) + pages
                    + b"".join(token(epoch) for epoch in range(3, count)), regions << 21, False)


def tree_root(leaves):
    """The root of the hash tree of a seal."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_root(leaves[:half]) + tree_root(leaves[half:])).digest()


# The generator of P-384, which is the public key to the private key 1, and its order.
POINT = bytes.fromhex(
    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f")
ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffff"
            "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16)


def sealed_by_host(whole):
    """The same SNP stream, sealed with the private key 1, which its session names as its source's."""
    key = whole.find(name("snp-session")) + 12 + 8 + 209
    start, signer = whole.rfind(b"SVSMSEAL"), b"\4" + POINT
    covered = whole[:key] + signer + whole[key + 97:start]
    leaves = [hashlib.sha256(b"\0" + covered[at:at + (256 << 10)]).digest()
              for at in range(0, start, 256 << 10)]
    fixed = (whole[start:start + 24] + be(8, start) + be(8, len(leaves)) + tree_root(leaves)
             + whole[start + 72:start + 112] + signer + bytes(7))
    digest = hashlib.sha384(b"svsm-migration v1 seal\0" + fixed).digest()
    # The random number of the signature is 1, too: r is the point's x.
    r = int.from_bytes(POINT[:48], "big")
    s = (int.from_bytes(digest, "big") + r) % ORDER
    old = int.from_bytes(whole[start + 32:start + 40], "big")
    return (covered + fixed + b"".join(leaves) + be(48, r) + be(48, min(s, ORDER - s))
            + whole[start + 216 + 32 * old + 96:])


def records_in_turn(count):
    """An SNP stream with shared pages of which every second one names its block: no two are alike."""
    return sealed_by_host(extended(section(2, 2, body=(be(8, 2) + name("pc.ram") + b"\0" + be(8, 0x22) + b"\0") * count
                            + END)))


def parts_in_turn(count):
    """An SNP stream with parts of its shared memory of which every second one holds a page."""
    empty, one = section(2, 2, body=END), section(2, 2, body=be(8, 2) + name("pc.ram") + b"\0" + END)
    return sealed_by_host(extended((empty + one) * count))


def pages_apart(count):
    """An SNP stream with private pages that are far from each other, and have parts of its shared memory
    between them; a third of the pages comes again."""
    between, first = section(2, 2, body=END), 2 * count // 3
    return sealed_by_host(extended(b"".join(
        section(2, 4, body=be(8, 2 + i) + be(8, i % first + 1 << 21) + be(4, 1)
                + bytes([1 + i // first, 0, 1, 0, 0, 0, 0, 15])
                + be(4, 4096) + bytes(16 + 4096)) + between for i in range(count))))


# Runs of unaccepted memory that differ from each other in the size of their pages: pages, state, size.
UNLIKE = [(512, 3, 1), (512, 3, 0)]
# The same three times, and a shared page at the end.
SHARED_BETWEEN = UNLIKE * 2 + [(512, 3, 1), (511, 3, 0), (1, 1, 0)]


def many_states(bundle, small, parts, count, blocks):
    """A guest whose memory consists of the same runs many times, in as many ranges as a map may have, which
    are in several RAM blocks; all of it is holes."""
    bundle.mkdir()
    for path in small.iterdir():
        if path.name.startswith(("vcpu-", "service-")):
            (bundle / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((small / "guest.json").read_text())
    size, per_range = sum(pages for pages, _, _ in parts) << 12, -(-count // 4096)
    ranges, private, states, sizes = [], [], [], [0] * blocks
    for first in range(0, count, per_range):
        block, number = first * blocks // count, min(per_range, count - first)
        gpa, end = first * size + (len(ranges) << 21), None
        ranges.append({"block": block, "offset": hex(sizes[block]), "gpa": hex(gpa),
                       "size": hex(number * size)})
        sizes[block] += number * size
        for pages, state, page_size in parts * number:
            states.append(be(8, gpa) + be(8, pages) + bytes([state, page_size]) + bytes(6))
            if state != 1 and gpa != end:
                private.append([gpa, 0])
            gpa += pages << 12
            if state != 1:
                private[-1][1] = end = gpa
    names = [f"block{number}" for number in range(blocks)]
    manifest |= {"map": ranges, "private": [f"{gpa:#x}-{end - 1:#x}" for gpa, end in private],
                 "page_state_runs": len(states),
                 "ram": [{"name": name, "size": hex(size)} for name, size in zip(names, sizes)]}
    (bundle / "guest.json").write_text(json.dumps(manifest))
    (bundle / "page-states.bin").write_bytes(b"".join(states))
    for number, size in enumerate(sizes):
        with (bundle / f"ram-{number}.bin").open("wb") as file:
            file.truncate(size)


def machine_state(sections):
    """A machine state with all bodies, as a bundle has it: sections of these names and sizes."""
    def entry(kind, place, title, number, version, body):
        return (bytes([kind, place, len(title), 0]) + be(4, number) + be(4, 0) + be(4, version)
                + be(4, len(body)) + title.encode() + body)
    entries = b"".join(entry(kind, 3, "ram", 2, 4, b"") for kind in (1, 2, 3))
    entries += b"".join(
        entry(4, 0, f"{title}{i}", 10 + i, 1, bytes([i]) * size)
        for i, (title, size) in enumerate(sections))
    body = be(2, 1) + be(2, 1) + be(4, len(sections) + 3) + be(4, 0) + be(4, 0) + be(4, 0) + entries
    return be(4, len(body)) + body


def whole_guest(bundle, small, vcpus, services, sections):
    """A guest of so many vCPUs, with services of these sizes, which are holes, and a machine of sections of
    these names and sizes."""
    bundle.mkdir()
    (bundle / "ram-0.bin").write_bytes((small / "ram-0.bin").read_bytes())
    (bundle / "page-states.bin").write_bytes((small / "page-states.bin").read_bytes())
    manifest = json.loads((small / "guest.json").read_text())
    saved = (small / "vcpu-0.vmsa").read_bytes()
    manifest["vcpus"] = [{"apic_id": i, "vmpl": 2} for i in range(vcpus)]
    for i in range(vcpus):
        (bundle / f"vcpu-{i}.vmsa").write_bytes(saved)
    manifest["services"] = [
        {"kind": 0x8000 + i, "mandatory": False, "version": 1, "generation": "0x1", "size": size}
        for i, size in enumerate(services)]
    for i, size in enumerate(services):
        with (bundle / f"service-{i}.bin").open("wb") as file:
            file.truncate(size)
    if sections:
        machine = machine_state(sections)
        (bundle / "machine-state.bin").write_bytes(machine)
        manifest["machine_state_size"] = len(machine)
    (bundle / "guest.json").write_text(json.dumps(manifest))


def final_sections(count, size):
    """A golden stream with services in front of its commit that nobody has sealed."""
    whole = (REPOSITORY / "Fixtures/golden/tiny/stream.mig").read_bytes()
    place = whole.find(name("snp-commit")) - 5
    return whole[:place] + b"".join(
        section(4, 0x100 + i, "snp-service", 1 + i, 1,
                be(2, 2) + be(2, 0) + be(4, 1 + i) + be(8, 100 + i) + be(4, size) + be(4, 0)
                + bytes(16 + size)) for i in range(count)) + whole[place:]


def linked_tables(bundle, small, size, leaves):
    """A guest whose page tables lead to each other, in RAM that is holes but for them: each entry of a
    table to the next one, up to one that maps nothing, or every second page of the first 2 MiB."""
    whole_guest(bundle, small, 1, [], [])
    manifest = json.loads((bundle / "guest.json").read_text())
    manifest["ram"][0]["size"] = hex(size)
    manifest["map"] = [{"block": 0, "offset": "0x0", "gpa": "0x0", "size": hex(size)}]
    manifest["private"], manifest["page_state_runs"] = [], 1
    (bundle / "guest.json").write_text(json.dumps(manifest))
    (bundle / "page-states.bin").write_bytes(be(8, 0) + be(8, size >> 12) + bytes([1]) + bytes(7))
    def table(*entries):
        return b"".join(entry.to_bytes(8, "little") for entry in entries).ljust(4096, b"\0")
    with (bundle / "ram-0.bin").open("r+b") as file:
        file.truncate(0)
        file.truncate(size)
        file.seek(0x1000)
        if leaves:
            file.write(table(0x2003) + table(0x3003, 0x3003) + table(*[0x4003] * 512)
                       + table(*(entry for page in range(256) for entry in (page << 13 | 3, 0))))
        else:
            file.write(b"".join(table(*[0x1003 + (level << 12)] * 512) for level in (1, 2, 3)))
    saved = bytearray((bundle / "vcpu-0.vmsa").read_bytes())
    for place, value in (0xD0, 0x1D00), (0x148, 0x20), (0x150, 0x1000), (0x158, 0x80000001):
        saved[place:place + 8] = value.to_bytes(8, "little")
    (bundle / "vcpu-0.vmsa").write_bytes(saved)


def many_values(small, part, most):
    """A manifest with a key of many values that means nothing."""
    text = (small / "guest.json").read_bytes().rstrip()[:-1]
    return filled(text + b', "x": ' + part[:1], part[1:-1], part[-1:] + b"}", most=most)


TRACE = b'{"schema":"svsm-migration/trace/1","side":"source"}\n'


def trace(*lines):
    return TRACE + b"".join(lines)


def members(count, value):
    """A line of many members."""
    return b"{" + b",".join(b'"%d":%d' % (key, value) for key in range(count)) + b"}\n"


def nested(depth, count, value):
    """A line of arrays in arrays, the innermost of many numbers."""
    inner = b",".join([b"%d" % value] * count)
    return b'{"a":' + b"[" * depth + inner + b"]" * depth + b"}\n"


def der(tag, *parts):
    """A value of ASN.1, of these parts."""
    body = b"".join(parts)
    size = (len(body).bit_length() + 7) // 8
    length = be(size, len(body))
    return bytes([tag]) + (bytes([0x80 | size]) if len(body) > 127 else b"") + length + body


def revocations(count):
    """A revocation list of many serial numbers, of an issuer with the name of a model root; nobody has
    signed it."""
    algorithm = der(0x30, der(6, bytes.fromhex("2a8648ce3d040303")))
    issuer = der(0x30, der(0x31, der(0x30, der(6, bytes.fromhex("550403")), der(12, b"nobody"))))
    date = der(0x17, b"240101000000Z")
    revoked = b"".join(der(0x30, der(2, be(4, number | 1 << 28)), date) for number in range(count))
    listed = der(0x30, der(2, b"\1"), algorithm, issuer, date, der(0x17, b"490101000000Z"),
                 der(0x30, revoked))
    return der(0x30, listed, algorithm, der(3, b"\0" + der(0x30, der(2, b"\1"), der(2, b"\1"))))


def thim(size):
    """Azure's answer with as many certificates as fit, all of one authority."""
    body = base64.encodebytes((REPOSITORY / "Fixtures/model-platform/ask.der").read_bytes()).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    count = size // len(json.dumps(pem)) - 1
    return json.dumps({"vcekCert": pem, "certificateChain": pem * count}).encode()


def no_pages(size):
    """A stream of a block without its pages."""
    return HEADER + ram([("pc.ram", size)]) + section(3, 2, body=END) + b"\0"


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


def vector(recipe, given="golden/mixed/stream.mig", more=()):
    """A vector of a recipe."""
    lines = ["svsm-migration vector 1", "name: long", "what: a costly file", "subject: recipe",
             f"input: {given}", *more, "verdict: refused", "code: RECIPE-SYNTAX", "recipe:"]
    return ("\n".join(lines + ["  " + line for line in recipe]) + "\n").encode()
