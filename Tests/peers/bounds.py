#!/usr/bin/env python3
"""Measures what small files cost that are made to cost much. Started by Tests/run.

Each input is a plain QEMU stream, an SNP stream or a vector that describes far more than it holds, or
makes a reader look for each thing among all others. A tool that reads one must stay below a limit of
memory, whatever it says of the input; a limit of processor time ends one that would run for hours.
The table says what each cost.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import zlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MEMORY = 96 << 20
SECONDS = 120


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
    counts = [1 << 16] + [19000] * 2
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


def plugged(body, length, early):
    """A RAM block of a virtio-mem device, of whose memory a section says what is plugged in."""
    path = "0000:00:02.0/"
    device_name = path + ("virtio-mem-device-early" if early else "virtio-mem")
    said = section(4, 10, device_name, body=body)
    page = be(8, 2) + name("pc.ram") + b"\0" + END
    field = {"name": "a", "type": "buffer", "size": len(body)}
    listed = ram([("pc.ram", 4096), (path + "vm0", length)])
    return (HEADER + (said + listed if early else listed + said) + section(3, 2, body=page) + b"\0"
            + described([device(device_name, [field])]))


def every_second_block(size):
    """A bitmap of a virtio-mem device that has as many ranges as it can."""
    blocks = 8 * size
    head = be(8, 0) + be(8, blocks << 12) + be(8, 4096) + be(4, 0) + be(8, blocks << 11)
    return plugged(head + b"\xaa" * size, blocks << 12, True)


def record_upon_record(count):
    """A section of a virtio-mem device that is a record at each third word."""
    return plugged((be(8, 0) + be(8, 1 << 32) + be(8, 4096)) * count, 1 << 32, False)


def snapshots(count, name_size):
    """A qcow2 image of snapshots with long names that are no text."""
    entry = be(8, 0) + be(4, 0) + be(2, 5) + be(2, name_size) + be(8, 0) * 2 + be(4, 0) + be(4, 24)
    entry += be(8, 100) + be(8, 0) * 2
    header = (b"QFI\xfb" + be(4, 3) + be(8, 0) + be(4, 0) + be(4, 16) + be(8, 0) + be(4, 0) * 2
              + be(8, 0) * 2 + be(4, 0) + be(4, count) + be(8, 65536) + be(8, 0) * 3 + be(4, 4)
              + be(4, 104))
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


def vector(copies):
    lines = ["svsm-migration vector 1", "name: long", "what: a file of gigabytes",
             "subject: recipe", "input: golden/mixed/stream.mig", "verdict: refused",
             "code: RECIPE-SYNTAX", "recipe:"] + ["  copy 0 after end"] * copies
    return "\n".join(lines) + "\n"


def write(path, content):
    """Writes what `content` makes; in a process of its own, since a program that is measured counts
    with the memory of the process that started it."""
    child = os.fork()
    if child == 0:
        try:
            path.write_bytes(content())
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def measure(words, folder):
    """Status, processor time and peak memory of a command."""
    with (folder / "said").open("wb") as said:
        child = subprocess.Popen(
            [str(word) for word in words], stdout=said, stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS)))
        _, status, usage = os.wait4(child.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = pathlib.Path(scratch)
        golden = REPOSITORY / "Fixtures/golden"
        blocks = ["guest export", "--all-blocks", "-o", folder / "blocks", "--force"]
        block = ["guest export", "--block", "pc.ram", "-o", folder / "block", "--force"]
        partly = ["guest export", "--allow-incomplete", "-o", folder / "block", "--force"]
        shown = [["inspect", "--devices"], ["inspect", "--devices", "--json"]]
        compared = [["diff", folder / "input"], ["diff", golden / "tiny/stream.mig"]]
        load = ["load", "--instance", folder / "instance", "--trust", golden / "root.pem",
                "--accept-seeded", "-o", folder / "guest", "--force"]
        subprocess.run([options.tools / "svsm-mig-guest", "create", "--quiet", "--memory", "64K",
                        "-o", folder / "small"], check=True)
        vmsa = folder / "small/vcpu-0.vmsa"
        kept = ["guest import", "--private", "none", "--vmsa", vmsa, "-o", folder / "guest", "-f"]
        cases = [
            ("empty arrays", lambda: empty_arrays(2000), shown + compared),
            ("many sections", lambda: many_sections(32000),
             shown + [["inspect", "--sections", "--json"], ["verify"]] + compared),
            ("long names", lambda: long_names(32000),
             shown + [["inspect", "--sections", "--json"], ["verify"]] + compared),
            ("kept sections", lambda: long_names(24000), [kept]),
            ("blocks in turn", lambda: blocks_in_turn(4096, 200_000), [["inspect", "--json"]] + compared),
            ("plugged ranges", lambda: every_second_block(15 << 20),
             [["inspect"], ["verify"]] + compared),
            ("plugged records", lambda: record_upon_record(40_000), [["verify"]] + compared),
            ("snapshots", lambda: snapshots(38000, 35),
             [["inspect", "--snapshot", "list"], ["inspect", "--snapshot", "list", "--json"],
              ["verify", "--snapshot", "x"]]),
            ("longer snapshots", lambda: snapshots(65000, 900),
             [["inspect", "--snapshot", "list", "--json"], ["verify", "--snapshot", "x"]]),
            ("parts in parts", lambda: deep(2 << 20, 28), shown + compared),
            ("small arrays", lambda: description(b"[0]", 4 << 20),
             [["inspect"], ["verify"]] + compared),
            ("more small arrays", lambda: description(b"[0]", 16_000_000),
             [["inspect"], ["verify"]] + compared),
            ("discards", lambda: discards(100_000, 4090),
             [["verify"], ["inspect", "--ram-hashes"]] + compared),
            ("named pages", lambda: named_pages(4096, 1_000_000), [["verify"]] + compared),
            ("pages in turn", lambda: pages_in_turn(4096, 1_000_000),
             [block[:2] + ["b4095"] + block[3:]] + compared),
            # Fewer: each file of a folder waits for the disk.
            ("blocks in turn", lambda: pages_in_turn(512, 1_000_000), [blocks]),
            ("claimed block", lambda: claimed(1 << 40),
             [block, block + ["--allow-incomplete"], blocks + ["--allow-incomplete"],
              partly + ["--machine", "none"], partly + ["--format", "elf", "--machine", "none"]]
             + compared),
            ("machine", lambda: machine(24000), [load, ["verify"]] + compared),
        ]
        channels = ["verify"]
        for number in range(8):
            write(folder / f"channel-{number}", lambda: zstd_channel(number))
            channels += ["--channel", folder / f"channel-{number}"]
        write(folder / "input", lambda: HEADER + ram([("pc.ram", 512 << 10)])
              + section(3, 2, body=END) + b"\0")
        failed += report("zstd channels", options.tools, channels[0], channels[1:],
                         folder, 8 * (folder / "channel-0").stat().st_size)
        there = folder / "dump.json"
        compare = ["verify", "--source", there, "--target", there]
        for title, content, calls in cases:
            write(folder / "input", content)
            size = (folder / "input").stat().st_size
            for tool, *arguments in calls:
                failed += report(title, options.tools, tool, arguments, folder, size)
        other = folder / "other"
        for title, one, two in [
                ("other values", lambda: many_sections(32000), lambda: many_sections(32000, b"y")),
                ("other bytes", lambda: long_names(32000), lambda: long_names(32000, body=b"y")),
                ("other names", lambda: long_names(32000), lambda: long_names(32000, "m")),
                ("other fields", lambda: fields(b"x"), lambda: fields(b"y")),
                ("other structures", lambda: structures(b"x"), lambda: structures(b"y")),
                ("other parts", lambda: deep(2 << 20, 28), lambda: deep(2 << 20, 28, b"y")),
                ("other bodies", lambda: large_bodies(b"x"), lambda: large_bodies(b"y")),
                ("other pages", lambda: whole_block(280_000, True),
                 lambda: whole_block(280_000, False)),
                ("other blocks", lambda: listed_blocks(1, b"x"), lambda: listed_blocks(2, b"y"))]:
            write(folder / "input", one)
            write(other, two)
            for arguments in [[other], [other, "--verbose"], [other, "--json"]]:
                failed += report(title, options.tools, "diff", arguments, folder,
                                 (folder / "input").stat().st_size)
        for title, types, fields_each, call in [
                ("dumps", 20000, 2, compare), ("long dumps", 1, 100_000, compare),
                ("types and sections", 20000, 2, ["verify", "--target", there])]:
            write(there, lambda: dump(types, fields_each))
            write(folder / "input", lambda: many_sections(30000))
            failed += report(title, options.tools, call[0], call[1:], folder,
                             there.stat().st_size)
        write(there, lambda: dump(5000, 1, 200, "a"))
        write(folder / "input", lambda: many_sections(100))
        failed += report("types that fit", options.tools, "verify", ["--target", there, "--json"],
                         folder, there.stat().st_size)
        for tool, *arguments in [
                ["inspect"], ["inspect", "--ram-hashes"], ["verify"], kept, block, blocks, partly,
                *compared]:
            sparse(folder / "input", 4 << 40)
            failed += report("sparse", options.tools, tool, arguments, folder, 4096)
        sparse(folder / "input", 256 << 30)
        sealed = folder / "sealed"
        failed += report("sparse", options.tools, "seal", ["-o", sealed], folder, 4096)
        sealed.replace(folder / "input")
        failed += report("sparse, sealed", options.tools, "verify", [], folder, 32 << 20)
        (folder / "vectors").mkdir()
        (folder / "golden").symlink_to(golden)
        for copies in (4000, 20000):
            (folder / "vectors/long.vector").write_text(vector(copies))
            failed += report(f"{copies} copies", options.tools, "verify",
                             ["--jobs", "1", "--vectors", folder / "vectors"], folder, 17 * copies)
    sys.exit(1 if failed else 0)


def report(title, tools, tool, arguments, folder, size):
    instance = REPOSITORY / "Fixtures/golden/destination.svsm"
    (folder / "instance").write_bytes(instance.read_bytes())
    inputs = [] if {"--vectors", "--source"} & set(arguments) else [folder / "input"]
    program, *command = tool.split()
    status, seconds, memory = measure(
        [tools / f"svsm-mig-{program}", *command, *inputs, *arguments], folder)
    is_good = 0 <= status <= 65 and memory <= MEMORY
    call = " ".join([tool] + [word for word in arguments if str(word).startswith("--")][:2])
    print(f"{'ok' if is_good else 'BAD':4} {title:18} {call:28} {size / 1024:9.0f} KiB  "
          f"status {status:3}  {seconds:6.1f} s  {memory / (1 << 20):7.0f} MiB", flush=True)
    return not is_good


if __name__ == "__main__":
    main()
