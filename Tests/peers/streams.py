#!/usr/bin/env python3
"""Every stream of a folder: do tools read it, with the memory and the devices that it has?

A stream is a file, packed by xz or not, or a folder with case.json, as Fixtures/qemu has them; beside
a file FILE its facts may stand in FILE.json. Their `ram_blocks` tell name and SHA-256 of each block,
and analyze.json of a folder what QEMU's script shows; without it, the script that
SVSM_ANALYZE_MIGRATION names is asked. Prints a table for each folder of tools, so that two builds can
be compared. Is no part of Tests/run:

    Tests/peers/streams.py [--tools FOLDER]... FOLDER...
"""

import argparse
import json
import lzma
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Entries of QEMU's script that are no devices.
NO_DEVICES = re.compile(r"(ram|configuration)( \(\d+\))?$")
CODE = re.compile(r"\[([A-Z0-9]+(?:-[A-Z0-9]+)+)\]")
LIMIT = 300


def content(path):
    """What is in a file, without the packing by xz that it is kept in."""
    return lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes()


def facts(path):
    return json.loads(content(path)) if path.exists() else {}


class Stream:
    """A stream, unpacked into a folder, and what is known of it."""

    def __init__(self, path, folder):
        case = path / "case.json" if path.is_dir() else path.with_name(path.name + ".json")
        self.name, known = path.name, facts(case)
        parts = [path]
        if path.is_dir():
            names = ["stream", "main", "image", "multifd-*"]
            parts = [part for name in names for part in sorted(path.glob(f"{name}.xz"))]
        files = []
        for part in parts:
            files.append(folder / part.name.removesuffix(".xz"))
            files[-1].write_bytes(content(part))
        self.file = files[0]
        self.words = [word for file in files[1:] for word in ("--channel", str(file))]
        offset = re.search(r",offset=(\w+)", str(known.get("source", {}).get("uri", "")))
        if offset:
            self.words += ["--offset", offset[1]]
        self.blocks = {block["name"]: block["sha256"] for block in known.get("ram_blocks", [])}
        shown = path / "analyze.json.xz"
        self.devices = facts(shown) if path.is_dir() and shown.exists() else self.analysed()

    def analysed(self):
        """What QEMU's script shows, or nothing where it does not read the stream."""
        script = os.environ.get("SVSM_ANALYZE_MIGRATION")
        if not script:
            return {}
        done = subprocess.run(["python3", script, "-f", str(self.file), "-d", "state"],
                              capture_output=True, timeout=LIMIT)
        try:
            return json.loads(done.stdout) if not done.returncode else {}
        except ValueError:
            return {}

    def call(self, tools, tool, *words):
        program = str(tools / f"svsm-mig-{tool}")
        done = subprocess.run([program, str(self.file), *self.words, *words], capture_output=True,
                              text=True, timeout=LIMIT)
        code = CODE.search(done.stderr)
        said = f"{done.returncode}" + (f" {code[1]}" if done.returncode and code else "")
        try:
            return said, json.loads(done.stdout)
        except ValueError:
            return said, {}

    def row(self, tools):
        """What tools make of it, and whether that is other than the facts."""
        inspected, shown = self.call(tools, "inspect", "--ram-hashes", "--devices", "--sections",
                                     "--json")
        verified, _ = self.call(tools, "verify", "--json")
        memory, devices = self.memory(shown), self.compare(shown)
        return [inspected, verified, memory, devices]

    def memory(self, shown):
        found = {block["name"]: block.get("sha256") for block in shown.get("ramBlocks") or []}
        if not self.blocks:
            return f"{len(found)} blocks"
        other = [name for name in sorted(self.blocks) if found.get(name) != self.blocks[name]]
        return f"{len(self.blocks) - len(other)} of {len(self.blocks)}" + "".join(
            f", other: {name}" for name in other)

    def compare(self, shown):
        """Devices whose fields are all as QEMU's script shows them."""
        if not self.devices:
            return "not compared"
        sections = {part["bodyOffset"]: part["id"] for part in shown.get("sections") or []
                    if part.get("bodyOffset") is not None}
        ours = {f"{device['name']} ({sections.get(device['offset'])})": device.get("fields")
                for device in shown.get("devices") or []}
        theirs = {name: value for name, value in self.devices.items()
                  if not NO_DEVICES.match(name)}
        same = [name for name in theirs if ours.get(name) == theirs[name]]
        other = sorted(set(theirs) - set(same))
        alone = len(set(ours) - set(theirs))
        return f"{len(same)} of {len(theirs)}" + "".join(f", other: {name}" for name in other) + (
            f", {alone} shown by us alone" if alone else "")


def streams(folders):
    """Folders with case.json, and files that are no facts themselves."""
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if (path / "case.json").exists():
                yield path
            elif path.is_file() and path.suffix not in {".json", ".md"}:
                yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="+", type=pathlib.Path)
    parser.add_argument("--tools", action="append", type=pathlib.Path)
    options = parser.parse_args()
    differ = 0
    print("| stream | tools | inspect | verify | memory | devices |\n|---|---|---|---|---|---|")
    for path in streams(options.folder):
        with tempfile.TemporaryDirectory() as folder:
            stream = Stream(path, pathlib.Path(folder))
            for tools in options.tools or [pathlib.Path(".build/release")]:
                row = stream.row(tools)
                differ += "other:" in "".join(row)
                print(f"| {stream.name} | {tools.name} | {' | '.join(row)} |", flush=True)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
