"""Guests of a stock QEMU with several RAM blocks: where it has their memory is where ours has it."""

import os

from check import Refused
from machine import STOCK

PLAIN = ["-accel", "tcg", "-display", "none", "-monitor", "none", "-nodefaults", "-S"]
SECRET_SIZE = 64 << 10
NODES = ["-m", "96M", "-object", "memory-backend-ram,id=ram-node0,size=32M",
         "-object", "memory-backend-ram,id=ram-node1,size=64M",
         "-numa", "node,memdev=ram-node0", "-numa", "node,memdev=ram-node1"]
DIMM = ["-M", "pc", "-m", "32M,slots=2,maxmem=1G", "-object", "memory-backend-ram,id=m1,size=64M",
        "-device", "pc-dimm,memdev=m1"]
# What it is, its machine, what our tools must be told, addresses with a secret in each block.
LAYOUTS = [
    ("two NUMA nodes", ["-M", "q35", *NODES], [], [0x1000000, 0x2000000]),
    ("two NUMA nodes and a cut in the second", ["-M", "q35,max-ram-below-4g=48M", *NODES], [],
     [0x1000000, 0x2800000, 0x100000000]),
    ("a DIMM larger than main memory", DIMM, ["--ram", "m1@0x100000000"], [0x1000000, 0x100100000]),
]


def secret(place, arguments, options, addresses):
    """All memory of a guest is private; each secret in it is at its address and not in the clear."""
    folder = place.new("secrets")
    folder.mkdir()
    secrets = {address: os.urandom(SECRET_SIZE) for address in addresses}
    for address, content in secrets.items():
        path = folder / f"{address:x}"
        path.write_bytes(content)
        arguments = [*arguments, "-device", f"loader,file={path},addr={address:#x},force-raw=on"]
    with place.machine([*PLAIN, *arguments], program=STOCK) as machine:
        for address, content in secrets.items():
            if machine.memory(address, SECRET_SIZE) != content:
                raise Refused(f"QEMU has nothing at {address:#x}")
        stream = machine.save(place.new("stream"))
    snp, plain = place.migrate(stream, "--input-format", "qemu", "--private", "all", *options)
    sealed, bundle = snp.read_bytes(), place.new("bundle")
    place.tool("guest", "import", plain, "-o", bundle, "--quiet", *options)
    for address, content in secrets.items():
        part = place.new("range")
        place.tool("guest", "export", bundle, "-o", part, "--range", f"{address:#x}+{SECRET_SIZE}")
        if part.read_bytes() != content:
            raise Refused(f"other memory is at {address:#x}")
        if any(content[at:at + 16] in sealed for at in range(0, SECRET_SIZE, 4096)):
            raise Refused(f"what is at {address:#x} is in the clear")
    return f"{len(secrets)} secrets"
