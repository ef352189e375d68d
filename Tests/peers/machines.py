#!/usr/bin/env python3
"""Every machine of every QEMU that is installed: is what it saves read whole, and is its memory the same?

A machine that starts under -S and saves in time gives a stream; svsm-mig-inspect must read it to its end,
from a file and from a pipe, svsm-mig-guest export the same memory, and svsm-mig-verify refuse nothing. Blocks
that lie whole in guest-physical memory are read by QEMU's own pmemsave and compared. Takes long, and is no part of Tests/run:

    Tests/peers/machines.py [--tools FOLDER] [--first N] [--keep FOLDER] [ARCHITECTURE ...]
"""

import argparse
import collections
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import machine
from check import Refused

# Of a block whose memory is compared.
LARGEST = 512 << 20
# What shows guest-physical memory; microcontrollers have theirs in the CPU's space only.
SPACES = [("memory", "pmemsave"), ("cpu-memory-0", "memsave")]
# What a machine may want that has no firmware or program of its own; it is not executed. Each is
# tried where what stands before is not enough.
WANTS = [[], ["-bios", "zeros"], ["-kernel", "zeros"],
         ["-drive", "if=pflash,format=raw,file=zeros"], ["-bios", "zeros", "-kernel", "zeros"]]
# Bytes of that file; QEMU says which size it wants of a flash device.
SIZE = 64 << 10
FLASH = re.compile(r"device requires (\d+) bytes")
# Machines that are no machine of their own.
LEFT_OUT = {"none", "x-remote"}
RANGE = re.compile(r"^  ([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, (?:ram|rom|romd|nv)\): "
                   r"(.+?)(?: @([0-9a-f]{16}))?(?: KVM)?$")


def architectures(wanted):
    programs = {pathlib.Path(path).name.removeprefix("qemu-system-"): path
                for folder in os.environ["PATH"].split(":")
                for path in glob.glob(f"{folder}/qemu-system-*")}
    return {name: path for name, path in sorted(programs.items())
            if not wanted or name in wanted}


def machines(program):
    """Names of the machines, aliases left out."""
    shown = subprocess.run([program, "-M", "help"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in shown.stdout.splitlines()[1:]
            if line.strip() and "alias of" not in line and line.split()[0] not in LEFT_OUT]


def whole_blocks(running, space):
    """Address and length of the blocks that an address space shows whole, by the region's name."""
    shown, found, seen = running.monitor("info mtree -f").splitlines(), {}, collections.Counter()
    inside = False
    for line in shown:
        if line.startswith("FlatView"):
            inside = False
        elif f'AS "{space}"' in line:
            inside = True
        match = RANGE.match(line.rstrip()) if inside else None
        if match:
            first, last, name, offset = match.groups()
            seen[name] += 1
            if not int(offset or "0", 16):
                found[name] = (int(first, 16), int(last, 16) - int(first, 16) + 1)
    return {name: place for name, place in found.items() if seen[name] == 1}


def truth(running):
    """SHA-256 of each block that the monitor gives whole."""
    found = {}
    for space, command in SPACES:
        for name, (address, size) in whole_blocks(running, space).items():
            if size > LARGEST or name in found:
                continue
            try:
                content = running.memory(address, size, command)
            except Refused as problem:
                if not str(problem).startswith(f"{command}:"):
                    raise
                continue  # A CPU translates addresses, or reads nothing there.
            found[name] = (size, hashlib.sha256(content).hexdigest())
    return found


def read(tools, path):
    """What the tools say of a stream, each in another way."""
    def call(tool, *words, stream=None):
        with open(stream or os.devnull, "rb") as source:
            done = subprocess.run([str(tools / f"svsm-mig-{tool}"), *words], stdin=source,
                                  capture_output=True, text=True)
        if done.returncode:
            raise Refused(f"{tool} {' '.join(words[1:])}: {done.stderr.strip().splitlines()[:1]}")
        return json.loads(done.stdout)
    shown = call("inspect", str(path), "--ram-hashes", "--devices", "--json")
    piped = call("inspect", "-", "--ram-hashes", "--json", stream=path)
    if shown["ramBlocks"] != piped["ramBlocks"]:
        raise Refused("a pipe gives other memory than a file")
    blocks = path.parent / "blocks"
    done = subprocess.run([str(tools / "svsm-mig-guest"), "export", str(path), "--all-blocks", "-f",
                           "-o", str(blocks)], capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"export: {done.stderr.strip().splitlines()[:1]}")
    exported = json.loads((blocks / "blocks.json").read_text())["blocks"]
    shutil.rmtree(blocks)
    if [(block["name"], block["size"], block["sha256"]) for block in exported] != [
            (block["name"], block["usedLength"], block["sha256"]) for block in shown["ramBlocks"]]:
        raise Refused("an export gives other memory than an inspection")
    ledger = call("verify", str(path), "--json")
    return shown, ledger


def compare(shown, memory):
    """Blocks that were compared; those that QEMU shows under one name with ours."""
    same = 0
    for name, (size, digest) in memory.items():
        blocks = [block for block in shown["ramBlocks"]
                  if block["name"] == name or block["name"].endswith(f"/{name}")]
        if len(blocks) != 1 or blocks[0]["usedLength"] != size:
            continue
        if blocks[0]["sha256"] != digest:
            raise Refused(f"block {name} is other memory than pmemsave's")
        same += 1
    return same


def start(program, name, folder):
    """A machine that waits, with as little as it starts with."""
    arguments = ["-M", name, "-S", "-display", "none", "-serial", "null", "-monitor", "none",
                 "-nic", "none"]
    waiting, said = [(wants, SIZE) for wants in WANTS], []
    while waiting:
        wants, size = waiting.pop(0)
        with open(folder / "zeros", "wb") as file:
            file.truncate(size)
        try:
            return machine.Machine(folder, arguments + wants, program=program).__enter__()
        except Refused as problem:
            if not str(problem).startswith("QEMU ends"):
                raise
            errors = (folder / "errors").read_text(errors="replace").strip().splitlines()
            said.append((errors or [str(problem)])[-1])
        wanted = FLASH.search(said[-1])
        if wanted and size == SIZE:
            waiting.insert(0, (wants, int(wanted[1])))
    raise Refused(said[0])


def one(program, name, tools, folder, keep):
    try:
        with contextlib.closing(start(program, name, folder)) as running:
            memory_first = truth(running)
            running.save(folder / "stream")
    except (Refused, OSError) as problem:
        return "not saved", str(problem)
    try:
        shown, _ = read(tools, folder / "stream")
        same = compare(shown, memory_first)
    except Refused as problem:
        if keep:
            shutil.copy(folder / "stream", keep / f"{pathlib.Path(program).name}-{name}")
        return "refused", str(problem)
    undescribed = shown["undescribed"]
    failed = [device["name"] for device in shown["devices"] if "error" in device]
    return "read", (shown.get("pageSize", 4096), same, len(shown["ramBlocks"]),
                    sorted(set(undescribed) | set(failed)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", nargs="*")
    parser.add_argument("--tools", type=pathlib.Path, default=pathlib.Path(".build/release"))
    parser.add_argument("--first", type=int, help="machines of each architecture")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for streams that are refused")
    parser.add_argument("--patience", type=int, default=20,
                        help="seconds a machine may take for one step")
    options = parser.parse_args()
    machine.PATIENCE = options.patience
    os.environ.setdefault("QEMU_AUDIO_DRV", "none")
    total, sizes, compared, blocks = collections.Counter(), collections.Counter(), 0, 0
    for architecture, program in architectures(options.architecture).items():
        counts = collections.Counter()
        for name in machines(program)[:options.first]:
            with tempfile.TemporaryDirectory() as folder:
                outcome, what = one(program, name, options.tools, pathlib.Path(folder), options.keep)
            counts[outcome] += 1
            if outcome == "read":
                size, same, count, unnamed = what
                sizes[size] += 1
                compared, blocks = compared + same, blocks + count
                if unnamed:
                    print(f"  {architecture} {name}: not described: {', '.join(unnamed)}")
            else:
                print(f"  {architecture} {name}: {outcome}: {what}")
        total.update(counts)
        print(f"{architecture}: {dict(counts)}", flush=True)
    print(f"machines {dict(total)}; pages {dict(sizes)}; {compared} of {blocks} blocks compared "
          "with pmemsave's, all the same")
    sys.exit(1 if total["refused"] else 0)


if __name__ == "__main__":
    main()
