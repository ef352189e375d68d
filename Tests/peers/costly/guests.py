"""Bundles with as much as there may be, and with more."""

import json

from .wire import be
from .devices import filled

# Runs of unaccepted memory that differ from each other in the size of their pages: pages, state, size,
# permissions.
UNLIKE = [(512, 3, 1, 0), (512, 3, 0, 0)]
# The same three times, and a shared page at the end.
SHARED_BETWEEN = UNLIKE * 2 + [(512, 3, 1, 0), (511, 3, 0, 0), (1, 1, 0, 0)]
# A private page in 2 MiB of unaccepted memory, and unaccepted memory of 2 TiB.
FAR_PRIVATE = [(1, 2, 0, 0), (511, 3, 0, 0)]
LONG = [(1 << 29, 3, 0, 0)]
# Long runs with all permissions, and with all but one.
ALL_FACTS = [(1 << 14 | 1, 2, 0, 0x1f1f1f1f), (1 << 14 | 1, 2, 0, 0x0f1f1f1f)]


def many_states(bundle, small, parts, count, blocks):
    """A guest whose memory consists of the same runs many times, in as many ranges as a map may have, which
    are in several RAM blocks; all of it is holes."""
    bundle.mkdir()
    for path in small.iterdir():
        if path.name.startswith(("vcpu-", "service-")):
            (bundle / path.name).write_bytes(path.read_bytes())
    manifest = json.loads((small / "guest.json").read_text())
    size, per_range = sum(pages for pages, *_ in parts) << 12, -(-count // 4096)
    ranges, private, states, sizes = [], [], [], [0] * blocks
    for first in range(0, count, per_range):
        block, number = first * blocks // count, min(per_range, count - first)
        gpa, end = first * size + (len(ranges) << 21), None
        ranges.append({"block": block, "offset": hex(sizes[block]), "gpa": hex(gpa),
                       "size": hex(number * size)})
        sizes[block] += number * size
        for pages, state, page_size, permissions in parts * number:
            states.append(be(8, gpa) + be(8, pages) + bytes([state, page_size]) + bytes(2)
                          + be(4, permissions))
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
    """A small guest of so many vCPUs, with services of these sizes, which are holes, and a machine of sections
    of these names and sizes."""
    bundle.mkdir()
    for part in "ram-0.bin", "page-states.bin", "guest.json":
        (bundle / part).write_bytes((small / part).read_bytes())
    put_state(bundle, small, vcpus, services, sections)


def full_guest(bundle, small, parts, count, blocks, *state):
    """A guest with as many runs of page states, and the other state of `whole_guest`."""
    many_states(bundle, small, parts, count, blocks)
    put_state(bundle, small, *state)


def put_state(bundle, small, vcpus, services, sections):
    """Gives a bundle other vCPUs, services and another machine."""
    manifest = json.loads((bundle / "guest.json").read_text())
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
