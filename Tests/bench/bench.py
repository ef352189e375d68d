#!/usr/bin/env python3
"""Measures the tools and others beside them, and prints a table. Started by Tests/bench/run.

What is measured, how, and what it means: Formats/performance.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys

import child
import machine
import older
import peers
import qemu
import requirements
import scaling
import startup
import table
import transfer
import walk
import ways
from machine import GIB, MIB
from workshop import Workshop, bytes_of, size_text

GROUPS = ("save", "load", "verify", "inspect", "scaling", "start", "peers",
          "ways", "before")
# Memory that is made ready at the start, in sizes of the guest: what a group needs at one time.
RETAINED = 6
# Beyond this part of the processors in use, figures mean little.
BUSY = 0.1


def arguments():
    parser = argparse.ArgumentParser(prog="Tests/bench/run", allow_abbrev=False, description=(
        "Measures save, load, verify, inspect, seal, import and the start of each tool beside cp, "
        "OpenSSL, age, zstd, QEMU's migrations and QEMU's walker, and ways to write and read, in "
        "alternation, and prints ratios of medians."))
    parser.add_argument("--size", type=bytes_of, help="memory of the guest, a multiple of 32M (default 1G)")
    parser.add_argument("--runs", type=int, help="runs that count, of most programs (default 5)")
    parser.add_argument("--quick", action="store_true",
                        help="256 MiB, 3 runs, inspects 1 GiB, growing only to 2 GiB")
    parser.add_argument("--only", metavar="NAME,...", default=",".join(GROUPS),
                        help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--folder", metavar="DIR",
                        help="where the files lie (default /dev/shm, if it is a tmpfs with 7 GiB "
                             "free, 2 with --quick; else TMPDIR or /tmp)")
    parser.add_argument("--disk", metavar="DIR",
                        help="a folder on a disk, for outputs of the groups peers and ways (default: "
                             ".build of the repository)")
    parser.add_argument("--before", metavar="DIR",
                        help="tools of an older commit, to be measured in turn with these")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--static", action="store_true",
                        help="also build the tools for shipping, and measure their start-up")
    parser.add_argument("--strict", action="store_true",
                        help="refuse a busy machine; exit status 1 when a requirement is not met. "
                             "With --quick, a smaller --size or fewer --runs than 3 none is judged")
    # For Tests/bench/run.
    parser.add_argument("--tools", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--static-tools", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--disk-scratch", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.only = options.only.split(",")
    for name in options.only:
        if name not in GROUPS:
            parser.error(f"no group {name}")
    if options.size is None:
        options.size = 256 * MIB if options.quick else GIB
    options.walked = GIB if options.quick else 4 * GIB
    if options.runs is None:
        options.runs = 3 if options.quick else 5
    if options.runs < 1:
        parser.error("--runs takes a number from 1 on")
    if options.size < 32 * MIB or options.size % (32 * MIB):
        parser.error("--size takes a multiple of 32M")
    if options.before and not os.path.isdir(options.before):
        parser.error(f"no folder {options.before}")
    if options.json and not os.path.isdir(os.path.dirname(os.path.abspath(options.json))):
        parser.error(f"no folder for {options.json}")
    return options


def say(text):
    """Progress: for a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:76]}", end="", file=sys.stderr, flush=True)


def show(text):
    say("")
    print(text, flush=True)


def need_room(scratch, count, what):
    room = machine.room(scratch)
    if room < count:
        raise child.Failed(f"{what} needs {count / GIB:.1f} GiB of room in {scratch}, which has "
                           f"{room / GIB:.1f} GiB")


def measure(options, shop):
    """Yields each group when it is done."""
    wanted, seconds = options.only, 1 if options.quick else 2
    if {"save", "load", "verify"} & set(wanted):
        # Memory, its copy in QEMU, an output; and some for the programs.
        need_room(options.scratch, options.size * 33 // 10 + GIB // 2, size_text(options.size))
        yield from transfer.measure(shop, options.size, options.runs, seconds, wanted, say)
    if "inspect" in wanted:
        need_room(options.scratch, options.walked * 11 // 10 + GIB // 2,
                  f"a stream of {size_text(options.walked)}")
        yield walk.measure(shop, options.walked, options.runs,
                           os.environ["SVSM_ANALYZE_MIGRATION"], say)
    if "scaling" in wanted:
        sizes = scaling.QUICK if options.quick else scaling.SIZES
        need_room(options.scratch, GIB, "sparse guests")
        yield scaling.measure_sparse(shop, sizes, min(options.runs, 3), say)
        yield scaling.measure_dense(shop, sizes, say)
    if "peers" in wanted:
        # Memory, a stream, and an output or the copy in QEMU and its stream.
        for folder, times in ((options.scratch, 43), (options.disk_scratch, 11)):
            need_room(folder, options.size * times // 10 + GIB // 2, size_text(options.size))
        yield from peers.measure(shop, options.disk_scratch, options.size, options.runs, seconds,
                                 say)
    if "ways" in wanted:
        for folder in options.scratch, options.disk_scratch:
            need_room(folder, options.size * 2 + GIB // 2, size_text(options.size))
        yield from ways.measure(shop, options.disk_scratch, options.size, options.runs, say)
    if "before" in wanted and options.before:
        need_room(options.scratch, options.size * 33 // 10 + GIB // 2, size_text(options.size))
        yield older.measure(shop, options.before, options.size, options.runs, say)
    if "start" in wanted:
        yield startup.measure(options.tools, options.static_tools, say)


def warnings_of(options, facts):
    found = []
    if facts["file_system"] != "tmpfs":
        found.append(f"the files are on {facts['file_system']}, not on tmpfs: a disk and its "
                     "cache are measured too")
    if {"peers", "ways"} & set(options.only) and facts["disk_file_system"] == "tmpfs":
        found.append("the folder of --disk is on tmpfs: no disk is measured")
    if facts["in_use"] > BUSY:
        found.append(f"others use {facts['in_use']:.0%} of the processors: the figures are not to "
                     "be trusted")
    if facts["processors"] < 2:
        found.append("one processor: two jobs cannot be faster than one")
    if options.quick:
        found.append("--quick: short runs, rough figures")
    return found


def main():
    options = arguments()
    # A process that is told to end does so by way of its clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    facts = machine.facts(options.scratch)
    facts["disk_file_system"] = machine.file_system(options.disk_scratch)
    facts["in_use"] = machine.await_quiet(say, BUSY)
    facts["peers"] = [
        qemu.version(qemu.PROGRAM), qemu.version(qemu.PROGRAM_10),
        *(child.output(command).splitlines()[0].strip(" *") for command in (
            ["openssl", "version"], ["cp", "--version"], ["zstd", "--version"])),
        f"age {child.output(['age', '--version']).strip()}",
        os.path.basename(os.environ["SVSM_ANALYZE_MIGRATION"])]
    settings = {"size_bytes": options.size, "inspected_bytes": options.walked,
                "runs": options.runs, "quick": options.quick, "groups": options.only,
                "before": options.before}
    warnings = warnings_of(options, facts)
    show(table.show_facts(facts, settings, warnings))
    if options.strict and facts["in_use"] > BUSY:
        sys.exit("the machine is busy")

    shop = Workshop(options.tools, options.scratch)
    if facts["file_system"] == "tmpfs" and options.only != ["start"]:
        say("making memory ready")
        need_room(options.scratch, options.size * RETAINED + GIB // 2, "memory that is ready")
        shop.retain(options.size * RETAINED)
    groups = []
    for group in measure(options, shop):
        groups.append(group)
        show(table.show_group(group))
    are_meant = not options.quick and options.size >= GIB and options.runs >= 3
    verdicts = requirements.judge({group.name: group for group in groups}, are_meant)
    disturbed = [case.name for group in groups for case in group.cases.values()
                 if (case.others or 0) >= table.DISTURBED]
    if disturbed:
        warnings.append(f"others used more than {table.DISTURBED:.0%} of the processors during "
                        f"{len(disturbed)} of the rows above")
        show(f"WARNING   {warnings[-1]}")
    show(table.show_verdicts(verdicts, f"{size_text(options.size)}, inspect with "
                             f"{size_text(options.walked)}"))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(table.document(facts, settings, warnings, groups, verdicts), file, indent=2)
            file.write("\n")
    return 1 if options.strict and any(verdict.met is False for verdict in verdicts) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (child.Failed, OSError, subprocess.SubprocessError) as failure:
        say("")
        sys.exit(f"Tests/bench/run: {failure}")
