#!/usr/bin/env python3
"""Prints the SHA-256 of physical memory as volatility3 reads it from a file.

Arguments: the file, then ranges FIRST+LENGTH whose bytes are hashed one behind the other. Run by
check.py with a Python that has volatility3. What it does not read counts as an error, not as zero.
"""

import hashlib
import pathlib
import sys

from volatility3.framework import contexts
from volatility3.framework.layers import elf, physical, qemu

STEP = 1 << 20


def memory(path):
    context = contexts.Context()
    context.config["base.location"] = pathlib.Path(path).resolve().as_uri()
    context.add_layer(physical.FileLayer(context, "base", "base"))
    for stacker in (elf.Elf64Stacker, qemu.QemuStacker):
        layer = stacker.stack(context, "base")
        if layer is not None:
            context.add_layer(layer)
            return layer
    sys.exit(f"{path}: neither an ELF core nor a QEMU stream")


def main():
    layer = memory(sys.argv[1])
    digest = hashlib.sha256()
    for text in sys.argv[2:]:
        start, size = (int(number, 0) for number in text.split("+"))
        for offset in range(0, size, STEP):
            digest.update(layer.read(start + offset, min(STEP, size - offset)))
    print(digest.hexdigest())


if __name__ == "__main__":
    main()
