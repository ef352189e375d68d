"""Streams with many devices, large ones, and VM descriptions that tell much."""

import json

from .wire import END, HEADER, be, name, plain, ram, section


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


def large_bodies(byte):
    """As many bytes of devices as are kept, which nothing describes."""
    bodies = b"".join(section(4, 10 + i, f"d{i}", body=byte * (2 << 20)) for i in range(16))
    whole = plain(bodies, b"{}")
    return whole[:whole.rfind(b"\x06")]


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


def marked(count):
    """A VM description with a name of marks in no order, which Unicode orders for each comparison."""
    marks = ("\u0300\u0316" * count).encode()
    return plain(b"", b'{"' + marks + b'":1,"page_size":4096,"devices":[{"name":"' + marks + b'"}]}')
