#!/usr/bin/env python3
"""Measures what small files cost that are made to cost much (costly.py). Started by Tests/run.

Each input describes far more than it holds, or makes a reader look for each thing among all others: a
plain QEMU stream, an SNP stream, a bundle, a vector, a trace, a list of certificates. A tool that reads
one must stay below a limit of memory, whatever it says of the input; a limit of processor time ends one
that would run for hours. The table says what each cost.
"""

import argparse
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

import costly
from costly import REPOSITORY

MEMORY = 96 << 20
SECONDS = 120
GOLDEN = REPOSITORY / "Fixtures/golden"
# vCPUs, services and machine of a guest that has as much of each as fits beside the others.
MOST = 4096, [1 << 19], [("tpm-x", 1 << 20)] + [("d", 1 << 20)] * 14


def apart(action):
    """Does what takes memory in a process of its own, since a program that is measured counts with the
    memory of the process that started it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit("an input could not be made")


def write(path, content):
    """Writes what `content` makes."""
    apart(lambda: path.write_bytes(content()))
    return path.stat().st_size


def stored(folder):
    """Bytes that the files of a folder store."""
    return sum(path.stat().st_blocks << 9 for path in folder.iterdir())


def measure(words, folder, stdin):
    """Status, processor time and peak memory of a command."""
    with (folder / "said").open("wb") as said, open(stdin, "rb") as given, \
            subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=said) as reader:
        # A pipe, since a live load writes to nothing else.
        child = subprocess.Popen(
            [str(word) for word in words], stdin=given, stdout=reader.stdin, stderr=reader.stdin,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS)))
        _, status, usage = os.wait4(child.pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


class Table:
    """What tools cost for inputs in a folder."""

    def __init__(self, tools, folder, only):
        self.tools, self.folder, self.only, self.failed = tools, folder, only, 0
        self.input, self.small = folder / "input", folder / "small"
        self.instance = folder / "instance"
        self.keys = ["--instance", self.instance, "--trust", GOLDEN / "root.pem"]
        self.run("guest create", "--quiet", "--memory", "64K", "-o", self.small)

    def run(self, tool, *arguments):
        program, *command = tool.split()
        subprocess.run([self.tools / f"svsm-mig-{program}", *command, *arguments], check=True)

    def wants(self, title):
        return self.only in title

    def case(self, title, content, *calls):
        """Calls of tools for one input, which `content` makes."""
        if self.wants(title):
            size = write(self.input, content)
            for tool, *arguments in calls:
                self.call(title, size, tool, self.input, *arguments)

    def call(self, title, size, tool, *arguments, stdin=os.devnull):
        """One call of a tool, for an input of `size` bytes."""
        self.instance.write_bytes((GOLDEN / "destination.svsm").read_bytes())
        program, *command = tool.split()
        status, seconds, memory = measure(
            [self.tools / f"svsm-mig-{program}", *command, *arguments], self.folder, stdin)
        is_good = status in (0, 1, 65) and memory <= MEMORY
        self.failed += not is_good
        shown = " ".join([tool] + [word for word in arguments if str(word).startswith("--")][:2])
        print(f"{'ok' if is_good else 'BAD':4} {title:18} {shown:28} {size / 1024:9.0f} KiB  "
              f"status {status:3}  {seconds:6.1f} s  {memory / (1 << 20):7.0f} MiB", flush=True)


    def save_rounds(self, title, bundle, most):
        """A save of a guest that does not change, in so many epochs."""
        self.call(title, stored(bundle), "save", bundle, *["--round", bundle] * (most - 1), "-o", "-", "--to",
                  GOLDEN / "destination.offer", "--trust", GOLDEN / "root.pem")
        shutil.rmtree(bundle)


def plain_streams(table):
    """Streams as QEMU writes them, and images of them."""
    shown = [["inspect", "--devices"], ["inspect", "--devices", "--json"]]
    listed = [*shown, ["inspect", "--sections"], ["inspect", "--sections", "--json"], ["verify"]]
    block = ["guest export", "--block", "pc.ram", "-o", table.folder / "block", "--force"]
    blocks = ["guest export", "--all-blocks", "-o", table.folder / "blocks", "--force"]
    partly = ["guest export", "--allow-incomplete", "-o", table.folder / "block", "--force"]
    kept = ["guest import", "--private", "none", "--vmsa", table.small / "vcpu-0.vmsa", "-o",
            table.folder / "guest", "-f"]
    compared = compares(table)
    snapshots = [["inspect", "--snapshot", "list", "--json"], ["verify", "--snapshot", "x"]]
    table.case("empty arrays", lambda: costly.empty_arrays(2000), *shown, *compared)
    table.case("many sections", lambda: costly.many_sections(32000), *listed, *compared)
    table.case("long names", lambda: costly.long_names(32000), *listed, *compared)
    table.case("kept sections", lambda: costly.long_names(24000), kept)
    table.case("blocks in turn", lambda: costly.blocks_in_turn(4096, 200_000),
               ["inspect", "--json"], ["inspect", "--pages"], *compared)
    table.case("plugged ranges", lambda: costly.every_second_block(15 << 20), ["inspect"], ["verify"],
               *compared)
    for title, step in ("plugged alike", 0), ("plugged once", 1):
        table.case(title, lambda: costly.every_second_block(1 << 16, 400, step), ["inspect"],
                   ["verify"], *compared)
    table.case("plugged places", lambda: costly.records_before_bitmap(1 << 20, 4000), ["inspect"],
               ["verify"], *compared)
    table.case("plugged records", lambda: costly.record_upon_record(40_000), ["verify"], *compared)
    table.case("snapshots", lambda: costly.snapshots(38000, 35), ["inspect", "--snapshot", "list"],
               *snapshots)
    table.case("longer snapshots", lambda: costly.snapshots(65000, 900), *snapshots)
    table.case("parts in parts", lambda: costly.deep(2 << 20, 28), *shown, *compared)
    table.case("small arrays", lambda: costly.description(b"[0]", 4 << 20), ["inspect"], ["verify"],
               *compared)
    table.case("more small arrays", lambda: costly.description(b"[0]", 16_000_000), ["inspect"],
               ["verify"], *compared)
    described_much(table, shown, compared)
    table.case("marks", lambda: costly.marked(1_000_000), *shown, ["verify"], *compared)
    table.case("commands", lambda: costly.commands(1024, 16), *shown, ["verify"], *compared)
    table.case("discards", lambda: costly.discards(100_000, 4090), ["verify"],
               ["inspect", "--ram-hashes"], *compared)
    table.case("named pages", lambda: costly.named_pages(4096, 1_000_000), ["verify"], *compared)
    table.case("pages in turn", lambda: costly.pages_in_turn(4096, 1_000_000),
               block[:2] + ["b4095"] + block[3:], *compared)
    # Fewer: each file of a folder waits for the disk.
    table.case("blocks in turn", lambda: costly.pages_in_turn(512, 1_000_000), blocks)
    table.case("claimed block", lambda: costly.claimed(1 << 40), block, block + ["--allow-incomplete"],
               blocks + ["--allow-incomplete"], partly + ["--machine", "none"],
               partly + ["--format", "elf", "--machine", "none"], *compared)
    for count, each in (4_000_000, 1), (600_000, 7):
        table.case(f"{each} page{'s' * (each > 1)} in 2 MiB", lambda: costly.far_plain(count, each),
                   ["verify"], ["inspect", "--pages"], ["inspect", "--json"], partly)
    table.case("pages in disorder", lambda: costly.in_disorder(1_500_000), ["verify"], partly)
    sparse(table, kept, block, blocks, partly, *compared)
    table.case("empty blocks", lambda: costly.empty_blocks(200_000), ["verify"], *compared)
    table.case("packed twice", lambda: costly.packed_twice(1_000_000), ["verify"], *compared)
    table.case("packed zeros", lambda: costly.many_zeros(140_000), ["verify"])
    table.case("packed records", lambda: costly.packed_records(1_000_000), ["inspect", "--ram-hashes"])
    state = ["verify", "--snapshot", "x"]
    table.case("shared sector", lambda: costly.shared_sector(16, 1_300_000), state)
    table.case("shared frames", lambda: costly.shared_frames(262_143), state)
    table.case("tiny clusters", lambda: costly.shared_sector(9, 1_100_000), state)
    table.case("packed in clusters", lambda: costly.packed_in_clusters(100_000), state)
    table.case("descriptors", lambda: costly.descriptors(65_536), ["inspect"], ["inspect", "--json"])


def described_much(table, shown, compared):
    """VM descriptions of 16 MiB."""
    calls = [*shown, ["verify"], *compared, ["seal", "-o", table.folder / "sealed", "--force"]]
    for kind in costly.DESCRIPTIONS:
        table.case(f"described {kind}", lambda: costly.described_much(kind), *calls)
    for kind in "lists", "fields", "short fields", "sections":
        table.case(f"beyond, {kind}", lambda: costly.described_much(kind, 1 << 30), *calls)
    for kind in "lists", "short fields", "keys":
        table.case(f"beside, {kind}", lambda: costly.described_much(kind, bodies=16), *calls)
    table.case("described parts", lambda: costly.described_parts(1_000_000, 200_000), *calls)


def compares(table):
    """Calls that compare an input with itself, and with a stream that has nothing in common with it."""
    return [["diff", table.input], ["diff", GOLDEN / "tiny/stream.mig"]]


def comparisons(table):
    """Pairs of inputs in which everything differs."""
    other = table.folder / "other"
    for title, one, two in [
            ("other values", lambda: costly.many_sections(32000),
             lambda: costly.many_sections(32000, b"y")),
            ("other bytes", lambda: costly.long_names(32000),
             lambda: costly.long_names(32000, body=b"y")),
            ("other names", lambda: costly.long_names(32000), lambda: costly.long_names(32000, "m")),
            ("other fields", lambda: costly.fields(b"x"), lambda: costly.fields(b"y")),
            ("other structures", lambda: costly.structures(b"x"), lambda: costly.structures(b"y")),
            ("other parts", lambda: costly.deep(2 << 20, 28), lambda: costly.deep(2 << 20, 28, b"y")),
            ("other bodies", lambda: costly.large_bodies(b"x"), lambda: costly.large_bodies(b"y")),
            ("other pages", lambda: costly.whole_block(280_000, True),
             lambda: costly.whole_block(280_000, False)),
            ("other blocks", lambda: costly.listed_blocks(1, b"x"),
             lambda: costly.listed_blocks(2, b"y"))]:
        if table.wants(title):
            write(other, two)
            table.case(title, one, ["diff", other], ["diff", other, "--json"])


def sparse(table, *calls):
    """Files that are holes."""
    if not table.wants("sparse"):
        return
    costly.sparse(table.input, 4 << 40)
    for tool, *arguments in [["inspect"], ["inspect", "--ram-hashes"], ["verify"], *calls]:
        table.call("sparse", 4096, tool, table.input, *arguments)
    costly.sparse(table.input, 256 << 30)
    sealed = table.folder / "sealed"
    table.call("sparse", 4096, "seal", table.input, "-o", sealed, "--force")
    table.call("sparse, sealed", 32 << 20, "verify", sealed)
    sealed.unlink()


def channels(table):
    if not table.wants("zstd channels"):
        return
    given, size = [], write(table.input, lambda: costly.no_pages(512 << 10))
    for number in range(8):
        channel = table.folder / f"channel-{number}"
        size += write(channel, lambda: costly.zstd_channel(number))
        given += ["--channel", channel]
    table.call("zstd channels", size, "verify", table.input, *given)


def targets(table):
    """Dumps of what a QEMU reads."""
    there = table.folder / "dump.json"
    compare = ["verify", "--source", there, "--target", there]
    for title, types, fields in ("dumps", 12000, 2), ("long dumps", 1, 52_000):
        if table.wants(title):
            table.call(title, write(there, lambda: costly.dump(types, fields)), *compare)
    for title, made, sections, more in [
            ("types and sections", (12000, 2), 30000, []),
            ("types that fit", (5000, 1, 200, "a"), 100, ["--json"])]:
        if table.wants(title):
            write(there, lambda: costly.dump(*made))
            table.case(title, lambda: costly.many_sections(sections),
                       ["verify", "--target", there, *more])
    if table.wants("described again"):
        write(there, lambda: costly.dump(1, 0))
        table.case("described again", lambda: costly.described_again(32_000, 200_000),
                   ["verify", "--target", there])
    state = b'"t":{"version_id":1,"minimum_version_id":1,"x":'
    for title, made in [
            ("dump, strings", (state + b"[", b'"%016d"', b"]}", 262_000)),
            ("dump, keys", (state + b"{", b'"%050d":0', b"}}", 262_000)),
            ("dump, types", (b"", b'"t%020d":{"version_id":1,"minimum_version_id":1}', b"", 87_000))]:
        if table.wants(title):
            table.call(title, write(there, lambda: costly.long_dump(*made)), *compare)


def snp_streams(table):
    """Streams of a migration, some by a host that adds to them."""
    load = ["load", *table.keys, "--accept-seeded", "-o", table.folder / "guest", "--force"]
    replay = [*load, "--until", "epoch:1"]
    table.case("machine", lambda: costly.machine(24000), load, ["verify"], *compares(table))
    table.case("far shared pages", lambda: costly.far_shared(2_000_000), ["verify"],
               ["inspect", "--pages"], ["inspect", "--epochs"], load, replay)
    table.case("final sections", lambda: costly.final_sections(32, 8 << 20), load, ["verify"],
               ["verify", *table.keys], ["inspect"], ["inspect", *table.keys])
    table.case("fewer of them", lambda: costly.far_shared(500_000), replay)
    attack = ["-o", table.folder / "attacked", "-f", "--second", table.input]
    for title, content, names in [
            ("records in turn", lambda: costly.records_in_turn(3_500_000),
             ["flip-shared-memory", "duplicate-shared-page", "splice-rest"]),
            ("parts in turn", lambda: costly.parts_in_turn(1_700_000),
             ["drop-vcpu --consistent", "append-stream --consistent"]),
            ("pages apart", lambda: costly.pages_apart(20_000),
             ["remap-two-pages --consistent", "replay-older-page"])]:
        table.case(title, content, *([f"attack --name {name}", *attack] for name in names))
    table.case("epochs", lambda: costly.many_epochs(200_000, 40_000), ["verify"], ["inspect"],
               ["inspect", "--json"], ["inspect", "--epochs"], ["inspect", "--epochs", "--json"],
               replay)


def page_states(table):
    """Guests with as many runs of page states as there may be, and streams of them."""
    bundle, saved = table.folder / "bundle", table.folder / "saved"
    keys = [*table.keys, "--accept-seeded"]
    load = ["load", saved, *keys, "-o", table.folder / "guest", "--force"]
    for title, parts, count, blocks in [
            ("page states", costly.UNLIKE, 1_040_000, 1),
            ("states of blocks", costly.UNLIKE, 400_000, 512),
            ("states, alternating", costly.SHARED_BETWEEN, 120_000, 512)]:
        if not table.wants(title):
            continue
        shutil.rmtree(bundle, ignore_errors=True)
        apart(lambda: costly.many_states(bundle, table.small, parts, count, blocks))
        size = (bundle / "page-states.bin").stat().st_size
        for tool, *arguments in [
                ["guest show", bundle],
                ["guest export", bundle, "--format", "elf", "-o", table.folder / "core", "--force"],
                ["save", bundle, "-o", saved, "--force", "--to", GOLDEN / "destination.offer",
                 "--trust", GOLDEN / "root.pem"],
                ["verify", saved], ["verify", saved, *table.keys], ["inspect", saved],
                ["inspect", saved, "--json", *table.keys], load, [*load, "--until", "epoch:1"],
                ["diff", bundle, bundle], ["diff", bundle, saved, *table.keys],
                ["diff", saved, saved, *table.keys]]:
            table.call(title, size, tool, *arguments)


def live(table):
    """What the two commands of a live move are given."""
    save = ["save", "-", "--live", "--to", GOLDEN / "destination.offer", "--trust",
            GOLDEN / "root.pem", "-o", "-"]
    load = ["load", "-", *table.keys, "--accept-seeded", "--live", "--output-format", "qemu", "-o", "-"]
    for title, content, call in [
            ("live, 1 TiB", lambda: costly.far_plain(1 << 19, 1), save),
            ("live, 7 in 2 MiB", lambda: costly.far_plain(200_000, 7), save),
            ("live, all twice", lambda: costly.sent_twice(200_000, 7), save),
            ("live, one page", lambda: costly.repeated_page(1_000_000), save),
            ("live, private", lambda: costly.far_plain(1 << 17, 1), [*save, "--private", "all"]),
            ("live, in no order", lambda: costly.in_disorder(400_000), [*save, "--private", "all"]),
            ("live, far shared", lambda: costly.far_shared(1 << 19), load)]:
        if table.wants(title):
            table.call(title, write(table.input, content), *call, stdin=table.input)


def full_maps(table):
    """Guests whose runs of page states are as long to keep as runs can be, with nothing but holes."""
    title = "states, all facts"
    if table.wants(title):
        bundle = table.folder / "full map"
        apart(lambda: costly.full_guest(bundle, table.small, costly.ALL_FACTS, 1_048_000, 1024, 1, [],
                                        [("d", 15 << 20)]))
        size = (bundle / "page-states.bin").stat().st_size
        for tool, *arguments in ["guest show", bundle], ["diff", bundle, bundle]:
            table.call(title, size, tool, *arguments)
        shutil.rmtree(bundle)


def rounds(table):
    """Guests that are saved in several epochs."""
    for title, parts, count, blocks, most in [
            ("rounds of states", costly.UNLIKE, 1_040_000, 1, 4),
            ("rounds of holes", costly.LONG, 4, 1, 2)]:
        if table.wants(title):
            bundle = table.folder / title
            apart(lambda: costly.many_states(bundle, table.small, parts, count, blocks))
            table.save_rounds(title, bundle, most)
    if table.wants("rounds of all"):
        bundle = table.folder / "rounds of all"
        apart(lambda: costly.whole_guest(bundle, table.small, *MOST))
        table.save_rounds("rounds of all", bundle, 4)
    if table.wants("rounds of far pages"):
        bundle = table.folder / "rounds of far pages"
        apart(lambda: costly.full_guest(bundle, table.small, costly.FAR_PRIVATE, 300_000, 1, 200,
                                        [128 << 10] * 63, [("d", 15 << 20)]))
        table.save_rounds("rounds of far pages", bundle, 3)


def whole_guests(table):
    """Guests with as much as there may be besides memory, and with more."""
    saved = table.folder / "saved"
    for title, *state in [
            ("64 long services", 1, [16 << 20] * 64, []),
            ("long machine", 1, [], [("d", 2 << 20)] * 16),
            ("most services", 1, [128 << 10] * 64, []),
            ("one service", 1, [8 << 20], []),
            ("most devices", 1, [], [("d", 1 << 20)] * 15),
            ("one device", 1, [], [("d", 15 << 20)]),
            ("full guest", costly.UNLIKE, 116_000, 1, 4096, [], [("d", 15 << 20)])]:
        if not table.wants(title):
            continue
        # Of another guest.
        saved.unlink(missing_ok=True)
        bundle = table.folder / title
        make = costly.full_guest if title == "full guest" else costly.whole_guest
        apart(lambda: make(bundle, table.small, *state))
        size = stored(bundle)
        save = ["save", bundle, "-o", saved, "--force", "--to", GOLDEN / "destination.offer",
                "--trust", GOLDEN / "root.pem"]
        for tool, *arguments in [
                ["guest show", bundle], ["guest export", bundle, "-o", table.folder / "block", "-f"],
                ["diff", bundle, bundle], save]:
            table.call(title, size, tool, *arguments)
        load = ["load", saved, *table.keys, "--accept-seeded", "-o", table.folder / "guest", "--force"]
        if saved.exists():
            for tool, *arguments in [
                    ["verify", saved], ["verify", saved, *table.keys], ["inspect", saved],
                    ["inspect", saved, *table.keys], ["inspect", saved, "--json", *table.keys], load,
                    ["diff", saved, bundle, *table.keys]]:
                table.call(title, size, tool, *arguments)
            saved.unlink()
        shutil.rmtree(bundle)


def page_tables(table):
    for title, leaves in ("linked tables", False), ("mapping tables", True):
        bundle = table.folder / title
        if table.wants(title):
            apart(lambda: costly.linked_tables(bundle, table.small, 1 << 40, leaves))
            for more in [], ["--paging"]:
                table.call(title, 16384, "guest export", bundle, "--format", "elf", *more, "-o",
                           table.folder / "block", "-f")


def bundles(table):
    for title, part, most in [("many values", b"[[%d]]", 131_000), ("many strings", b'["%024d"]', 262_000),
                              ("many keys", b'{"%050d":0}', 262_000)]:
        if table.wants(title):
            bundle = table.folder / title
            bundle.mkdir()
            size = write(bundle / "guest.json", lambda: costly.many_values(table.small, part, most))
            table.call(title, size, "guest show", bundle)


def traces(table):
    other = table.folder / "other"
    for title, first, second in [
            ("long line", lambda: b" " * (50 << 20), bytes),
            ("short lines", lambda: b"{}\n" * 10_000_000, lambda: b"{}\n" * 10_000_000),
            ("nested", lambda: b'{"a":' + b"[" * (4 << 20) + b"\n", bytes),
            ("members", lambda: costly.members(60_000, 1), lambda: costly.members(60_000, 2)),
            ("many members", lambda: costly.members(300_000, 1), lambda: costly.members(300_000, 2)),
            ("numbers", lambda: costly.nested(6, 65_000, 1), lambda: costly.nested(6, 65_000, 2)),
            ("deep numbers", lambda: costly.nested(60, 500_000, 1),
             lambda: costly.nested(60, 500_000, 2))]:
        if table.wants(f"trace, {title}"):
            write(other, lambda: costly.TRACE + second())
            calls = [["diff", other, "--trace"], ["diff", other, "--trace", "--json"]]
            table.case(f"trace, {title}", lambda: costly.TRACE + first(),
                       *calls[:1 if title == "short lines" else 2])


def evidence(table):
    """What stands beside a report."""
    known = REPOSITORY / "Fixtures/attestation"
    verify = ["attest verify", known / "milan-v3-oak-a.report.bin", "--cert",
              known / "milan-v3-oak-a.vcek.der"]
    for title, content, option in [
            ("revocations", lambda: costly.revocations(35_000), "--crl"),
            ("policy", lambda: costly.members(90_000, 0), "--policy"),
            ("policy, arrays", lambda: b'{"x":[' + b",".join([b"[0]"] * 131_000) + b"]}", "--policy"),
            ("THIM", lambda: costly.thim(62_000), "--cert")]:
        if table.wants(title):
            table.call(title, write(table.input, content), *verify, option, table.input)


def vectors(table):
    (table.folder / "vectors").mkdir()
    (table.folder / "golden").symlink_to(GOLDEN)
    given = table.folder / "records"
    spliced = ["splice ram.part[0] from second ram.part[last]", "repair resign"]
    for title, recipe, more in [
            ("4000 copies", ["copy 0 after end"] * 4000, []),
            ("20000 copies", ["copy 0 after end"] * 20000, []),
            ("spliced records", spliced, ["records", ["second: records"]]),
            ("all replaced", ["set 0 zero"], ["records"])]:
        if table.wants(title):
            size = write(table.folder / "vectors/long.vector", lambda: costly.vector(recipe, *more))
            if more:
                size += write(given, lambda: costly.records_in_turn(1_200_000))
            table.call(title, size, "verify", "--jobs", "1", "--vectors", table.folder / "vectors")


def goldens(table):
    """Scenarios and expected files of somebody else."""
    folder = table.folder / "scenarios"
    folder.mkdir()
    made = "print out guest --help\n"
    for title, scenario, expected in [
            ("long word", lambda: b"run inspect " + b"x" * 1_000_000, lambda: b""),
            ("many names", lambda: b"".join(b"keep %d\n" % at for at in range(90_000)), lambda: b""),
            ("many lines", lambda: made.encode(), lambda: b"\n" * (15 << 20)),
            ("many values", lambda: made.replace("guest --help", "guest create -h").encode(),
             lambda: b"[" + b"0," * (2 << 20) + b"0]")]:
        if table.wants(title):
            size = write(folder / "scenario", scenario) + write(folder / "out", expected)
            table.call(title, size, "diff", "--golden", folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="inputs whose name contains this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        table = Table(options.tools, pathlib.Path(scratch), options.only)
        for part in (plain_streams, comparisons, channels, targets, snp_streams, page_states, full_maps,
                     live, rounds, whole_guests, page_tables, bundles, traces, evidence, vectors, goldens):
            part(table)
    sys.exit(1 if table.failed else 0)


if __name__ == "__main__":
    main()
