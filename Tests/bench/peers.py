"""What others need for the same memory: to copy, hash, encrypt, compress it; QEMU's migrations.

Once with outputs where all other files lie, and once with outputs on a disk.
"""

import mmap
import os
import pathlib

import child
import qemu
from machine import file_system
from rounds import Case, Group, alternate, measure_write
from transfer import JOBS, qemu_case, speeds
from workshop import remove, size_text


class Place:
    """A folder that outputs are written to. On a disk each program is measured to its end, and then
    until what it wrote is on the disk: the tools themselves end no sooner."""

    def __init__(self, folder, is_disk):
        self.out = pathlib.Path(folder) / "out"
        self.is_disk = is_disk
        self.kind = file_system(folder)

    def remove(self):
        remove(self.out)

    def permits_direct(self):
        """Whether a file here can be written past the kernel's cache; a tmpfs is nothing but cache."""
        if self.kind == "tmpfs":
            return False
        try:
            file = os.open(self.out, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
            try:
                # Anonymous memory begins at a page.
                return os.write(file, mmap.mmap(-1, mmap.PAGESIZE)) == mmap.PAGESIZE
            finally:
                os.close(file)
        except OSError:
            return False
        finally:
            self.remove()

    def synchronize(self):
        """The time until the output is on the disk."""
        clock = child.Clock()
        file = os.open(self.out, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        return clock.stop()

    def cases(self, key, case):
        """A case that writes the output, by key; on a disk with a second one: the same run, and the
        time until its output is there."""
        if not self.is_disk:
            return {key: case}
        last, act, after = [], case.act, case.after

        def first():
            try:
                last[:] = [act(), self.synchronize()]
            finally:
                after()
            return last[0]

        def then():
            return child.Measured(sum(measured.wall for measured in last))

        case.act, case.after = first, lambda: None
        return {key: case, f"{key}-synced": Case(f"{case.name}, then fsync", then)}


def encrypting(shop, memory, out):
    """Programs that encrypt or compress a file, by key: what they are called, and their command."""
    identity, recipients = shop.path("age.key"), shop.path("age.recipients")
    shop.remove("age.key", "age.recipients")
    child.run(["age-keygen", "-o", identity])
    child.run(["age-keygen", "-y", "-o", recipients, identity])
    return {
        "enc": ("openssl enc -aes-256-ctr", ["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-pass",
                                             "pass:bench", "-in", memory, "-out", out]),
        "age": ("age -e -R", ["age", "-e", "-R", recipients, "-o", out, memory]),
        "zstd": ("zstd -1", ["zstd", "-1", "-q", "-f", memory, "-o", out]),
    }


def cat(memory, out):
    with open(out, "wb") as file:
        return child.measure(["cat", memory], stdout=file)


def tool_cases(shop, place, size, stream):
    """Save and load, whose outputs are on the disk when they end."""
    memory, cases = shop.path("memory"), {}
    hashed = stream.stat().st_size / size

    def writing(work, written, jobs):
        # To a disk the kernel writes while the tool works: the sum of both is no limit there.
        return () if place.is_disk else work + ((written / jobs, "write"),)


    for jobs in JOBS:
        save = ((1, f"encrypt-{jobs}"), (hashed, f"hash-{jobs}"))
        load = ((1, f"decrypt-{jobs}"), (hashed, f"hash-{jobs}"))
        cases[f"save-{jobs}"] = Case(
            "save, 100 % private",
            lambda jobs=jobs: child.measure(shop.save(memory, "all", place.out, jobs)), jobs,
            after=place.remove, limit=save, limit_writing=writing(save, hashed, jobs))
        cases[f"load-{jobs}"] = Case(
            "load, 100 % private",
            lambda jobs=jobs: child.measure(shop.load(stream, place.out, jobs)), jobs,
            before=shop.fresh_instance, after=place.remove, limit=load,
            limit_writing=writing(load, 1, jobs))
    return cases


def other_cases(shop, place, size):
    memory, out = shop.path("memory"), place.out
    cases = {"digest": Case("openssl dgst -sha256", lambda: child.measure(
        ["openssl", "dgst", "-sha256", memory]))}
    writing = {"cp": Case("cp", lambda: child.measure(["cp", memory, out])),
               "cat": Case("cat > FILE", lambda: cat(memory, out)),
               "write": Case("write alone, 256 KiB at a time", lambda: measure_write(out, size))}
    for key, (name, command) in encrypting(shop, memory, out).items():
        writing[key] = Case(name, lambda command=command: child.measure(command))
    for case in writing.values():
        case.after = place.remove
    writing["qemu"] = qemu_case(shop, size, out, qemu.CAT)
    ways = qemu.TEN if place.permits_direct() else {
        key: way for key, way in qemu.TEN.items() if not way.parameters}
    for key, way in ways.items():
        writing[f"qemu-{key}"] = qemu_case(shop, size, out, way)
    for key, case in writing.items():
        cases |= place.cases(key, case)
    return cases


def measure_place(shop, place, size, runs, seconds, say):
    cases = tool_cases(shop, place, size, shop.path("stream"))
    cases |= other_cases(shop, place, size)
    cases |= speeds(shop, size, seconds, ("encrypt", "decrypt"))
    end = "-synced" if place.is_disk else ""
    where = "disk" if place.is_disk else "files"
    group = Group(f"peers-{where}", f"Peers: {size_text(size)} of random memory, outputs on "
                  f"{place.kind}", cases, {f"cp{end}": "/ cp", f"qemu{end}": "/ QEMU 7.2"})
    if "qemu-direct" not in cases:
        group.notes.append(f"{place.kind} has no O_DIRECT: QEMU's direct-io is not measured here.")
    try:
        alternate(cases, runs, say, [shop.path("memory"), shop.path("stream")])
    finally:
        place.remove()
    return group


def measure_plain(shop, size, runs, say):
    """A plain stream of QEMU's: hashed, sealed, and the memory in it hashed."""
    say("making a plain stream")
    plain, out = shop.path("plain"), shop.path("out")
    machine = qemu.Machine(shop.path("memory"), size, shop.scratch)
    try:
        machine.migrate(plain)
    finally:
        machine.stop()
    cases = {"digest": Case("openssl dgst -sha256 of the stream", lambda: child.measure(
        ["openssl", "dgst", "-sha256", plain]))}
    for key, target in (("seal", out), ("seal-null", "/dev/null")):
        cases[key] = Case("seal" + ("" if target == out else ", to /dev/null"),
                          lambda target=target: child.measure(shop.seal(plain, target, 1)), 1,
                          after=lambda: shop.remove("out"))
    cases["ram-hashes"] = Case("inspect --ram-hashes",
                               lambda: child.measure(shop.ram_hashes(plain, 1)), 1)
    try:
        alternate(cases, runs, say, [plain])
    finally:
        shop.remove("plain", "out")
    return Group("plain", f"A plain stream of {size_text(size)} of random memory", cases,
                 {"digest": "/ dgst"})


def measure(shop, disk, size, runs, seconds, say):
    """Yields each group when it is done. `disk`: a folder on a disk."""
    memory = shop.random_memory("memory", size)
    try:
        yield measure_plain(shop, size, runs, say)
        child.run(shop.save(memory, "all", shop.path("stream"), 1))
        yield measure_place(shop, Place(shop.scratch, False), size, runs, seconds, say)
        yield measure_place(shop, Place(disk, True), size, runs, seconds, say)
    finally:
        shop.remove("memory", "stream")
