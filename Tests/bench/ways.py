"""The kernel's part: ways to move the bytes of a file, each by itself, without any other work.

What a tool could gain by writing or reading in another way is at most the difference of two rows.
"""

import pathlib
import subprocess

import child
from engines import compiler
from machine import file_system
from rounds import Case, Group, alternate, write_file
from workshop import remove, size_text

HERE = pathlib.Path(__file__).resolve().parent
# The exit status of the driver where a file system refuses a way.
REFUSED = 2
WAYS = {
    "write": "write",
    "write-large": "write, 1 MiB at a time",
    "started": "write, sync_file_range each 8 MiB",
    "allocated": "fallocate, then write",
    "mapped": "ftruncate, then store into the mapped file",
    "spliced": "vmsplice, splice",
    "direct": "write with O_DIRECT",
    "direct-allocated": "fallocate, then write with O_DIRECT",
    "read": "read",
    "read-mapped": "load from the mapped file",
    "read-direct": "read with O_DIRECT",
}
THREADS = (1, 2)


def build(folder):
    program = pathlib.Path(folder) / "ways"
    child.run([compiler(), "-O2", "-pthread", "-o", program, HERE / "ways.c"])
    return program


def is_taken(program, way, path, size):
    """Whether the file system takes a way; a tmpfs is nothing but cache, whatever it says of
    `O_DIRECT`."""
    if "direct" in way and file_system(path.parent) == "tmpfs":
        return False
    status = subprocess.run([program, way, "1", str(size), path], stderr=subprocess.DEVNULL,
                            check=False).returncode
    if status not in (0, REFUSED):
        raise child.Failed(f"{program} {way} exits {status}")
    return status == 0


def measure_place(shop, program, name, folder, size, runs, say):
    """The ways in one folder."""
    kind, out, source = file_system(folder), folder / "out", folder / "source"
    cases, notes = {}, []
    write_file(source, size)
    notes.append("What is read was read before, so that it is in the kernel's cache.")
    try:
        for way, text in WAYS.items():
            reads = way.startswith("read")
            path = source if reads else out
            if not is_taken(program, way, path, size):
                notes.append(f"{kind} has no way to {text}.")
                continue
            for threads in THREADS:
                command = [program, way, threads, size, path]
                cases[f"{way}-{threads}"] = Case(
                    text, lambda command=command: child.measure(command), threads,
                    after=lambda: remove(out))
        alternate(cases, runs, say, [source])
    finally:
        remove(out)
        remove(source)
    return Group(f"ways-{name}", f"Ways to write and to read {size_text(size)} on {kind}", cases,
                 {"write-1": "/ write", "read-1": "/ read"}, notes)


def measure(shop, disk, size, runs, say):
    """Yields the group of the folder where the files lie, and that of a folder on a disk."""
    program = build(shop.scratch)
    for name, folder in ("files", shop.scratch), ("disk", pathlib.Path(disk)):
        yield measure_place(shop, program, name, folder, size, runs, say)
