"""What is measured: the tools and how they are called, guests' memory, keys."""

import functools
import os
import pathlib
import shutil

import child
from engines import Engines
from machine import GIB, MIB
from rounds import retain

# Where QEMU's machine types lay memory above the first 2 GiB.
BELOW, ABOVE = 2 * GIB, 4 * GIB
# A sparse guest's data: so many pieces of so many bytes, evenly over its memory.
PIECES, PIECE = 32, 2 * MIB


def bytes_of(text):
    """`256M`, `1G` or a number, in bytes."""
    units = {"K": 1 << 10, "M": MIB, "G": GIB}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def size_text(count):
    return f"{count // GIB} GiB" if count % GIB == 0 else f"{count // MIB} MiB"


def remove(path):
    """A file or, as load makes one, a folder; if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Workshop:
    """Makes inputs in a scratch folder and writes the tools' command lines."""

    def __init__(self, tools, scratch):
        self.tools, self.scratch = pathlib.Path(tools), pathlib.Path(scratch)
        self.pristine, self.instance = self.path("pristine.svsm"), self.path("instance.svsm")
        self.offer, self.root = self.path("offer"), self.path("root.pem")
        child.run([self.tools / "svsm-mig-prepare", "--instance", self.pristine, "--output",
                   self.offer, "--root-out", self.root])

    @functools.cached_property
    def engines(self):
        """What the tools encrypt and hash with, built by itself."""
        return Engines(self.scratch)

    def path(self, name):
        return self.scratch / name

    def remove(self, *names):
        for name in names:
            remove(self.path(name))

    def retain(self, count):
        retain(self.path("retained"), count)

    def random_memory(self, name, size):
        """Memory that nobody can compress, and no page of which is zero."""
        with open(self.path(name), "wb", buffering=0) as file:
            for _ in range(0, size, MIB):
                file.write(os.urandom(MIB))
        return self.path(name)

    def sparse_memory(self, name, size, pieces=0):
        """Memory of which nothing is there but some pieces of random data."""
        with open(self.path(name), "wb", buffering=0) as file:
            file.truncate(size)
            for number in range(pieces):
                file.seek(size // pieces * number)
                for _ in range(0, PIECE, MIB):
                    file.write(os.urandom(MIB))
        return self.path(name)

    @staticmethod
    def ranges(starts, length):
        """Private memory: so many bytes at each of these offsets of a raw image, as guest-physical
        addresses."""
        addresses = [start if start < BELOW else start - BELOW + ABOVE for start in starts]
        return ",".join(f"{address:#x}+{length:#x}" for address in addresses)

    def save(self, memory, private, output, jobs):
        size = os.stat(memory).st_size
        return [self.tools / "svsm-mig-save", memory, "--private", private, "--below-4g",
                min(size, BELOW), "--output", output, "--force", "--to", self.offer,
                "--trust", self.root, "--jobs", jobs]

    def import_raw(self, memory, private, output):
        size = os.stat(memory).st_size
        return [self.tools / "svsm-mig-guest", "import", memory, "--format", "raw", "--private",
                private, "--below-4g", min(size, BELOW), "--output", output]

    def fresh_instance(self):
        """An instance loads one stream: each load has a copy of one that has loaded none."""
        shutil.copyfile(self.pristine, self.instance)

    def load(self, stream, output, jobs):
        return [self.tools / "svsm-mig-load", stream, "--instance", self.instance, "--output",
                output, "--trust", self.root, "--jobs", jobs]

    def verify(self, stream, jobs, keyed):
        keys = ["--instance", self.pristine] if keyed else []
        return [self.tools / "svsm-mig-verify", stream, "--trust", self.root, *keys,
                "--jobs", jobs]

    def seal(self, plain, output, jobs):
        return [self.tools / "svsm-mig-seal", plain, "--output", output, "--force", "--jobs", jobs]

    def inspect(self, stream):
        return [self.tools / "svsm-mig-inspect", stream]

    def ram_hashes(self, plain, jobs):
        return [self.tools / "svsm-mig-inspect", "--ram-hashes", plain, "--jobs", jobs]
