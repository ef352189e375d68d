"""Saving, loading and verifying random memory, and what does the same kind of work beside it."""

import child
import qemu
from engines import cases_of
from machine import MIB
from rounds import Case, Group, alternate, measure_write
from workshop import remove, size_text

JOBS = (1, 2)
# Private and shared memory of the guest that is half private alternate in stretches of this size.
STRETCH = 16 * MIB


def private_ranges(shop, size, percent):
    if percent == 0 or percent == 100:
        return "all" if percent else "none"
    stretch = min(STRETCH, size // 2)
    return shop.ranges(range(0, size, 2 * stretch), stretch)


def speeds(shop, size, seconds, names):
    """Cases that say how fast these kinds of work, and hashing, are done: as the time of `size`
    bytes."""
    cases = {}
    for what in (*names, "hash"):
        for jobs in JOBS:
            cases |= cases_of(what, Case, shop.engines, jobs, seconds, size)
    return cases


def write_case(shop, size):
    """Writing as many bytes as memory has, and nothing else."""
    return Case("write alone, 256 KiB at a time", lambda: measure_write(shop.path("out"), size),
                after=lambda: shop.remove("out"))


def qemu_case(shop, size, target, way, notes=None):
    """QEMU's migration of `memory`; a process for each run, since it migrates once. `notes`: takes
    how much longer each was by QEMU's own clock."""
    state = {}

    def before():
        state["qemu"] = qemu.Machine(shop.path("memory"), size, shop.scratch, way)

    def act():
        measured = state["qemu"].migrate(target)
        if notes is not None:
            notes.append(state["qemu"].total_time() - measured.wall)
        # Who wrote less than the memory did not do the work.
        if target != "/dev/null" and target.stat().st_size < size:
            raise child.Failed(f"{target} is smaller than the memory")
        return measured

    def after():
        if "qemu" in state:
            state.pop("qemu").stop()
        if target != "/dev/null":
            remove(target)

    name = way.name if target != "/dev/null" else f"{way.name.removesuffix('file')}/dev/null"
    return Case(name, act, before=before, after=after)


def measure_save(shop, size, sizes, runs, seconds, say):
    """`sizes`: bytes of the stream, by per cent of private memory."""
    out, memory, differences = shop.path("out"), shop.path("memory"), []

    def tool(percent, jobs, target):
        private = private_ranges(shop, size, percent)
        stream = sizes[percent] / size
        limit = ((percent / 100, f"encrypt-{jobs}"), (stream, f"hash-{jobs}"))
        writes = target == out
        return Case(f"save, {percent} % private" + ("" if writes else ", to /dev/null"),
                    lambda: child.measure(shop.save(memory, private, target, jobs)), jobs,
                    after=lambda: shop.remove("out"), limit=limit,
                    limit_writing=limit + ((stream / jobs, "write"),) if writes else ())

    cases = {"cp": Case("cp of the memory", lambda: child.measure(["cp", memory, out]),
                        after=lambda: shop.remove("out")),
             "qemu": qemu_case(shop, size, out, qemu.CAT, differences),
             "qemu-null": qemu_case(shop, size, "/dev/null", qemu.CAT)}
    for percent in (100, 50, 0):
        for jobs in JOBS:
            cases[f"save-{percent}-{jobs}"] = tool(percent, jobs, out)
    for jobs in JOBS:
        cases[f"save-null-{jobs}"] = tool(100, jobs, "/dev/null")
    cases["write"] = write_case(shop, size)
    cases |= speeds(shop, size, seconds, ("encrypt",))
    group = Group("save", f"Save {size_text(size)} of random memory", cases,
                  {"cp": "/ cp", "qemu": "/ QEMU"})
    alternate(cases, runs, say, [memory])
    largest = max(differences, key=abs)
    group.notes.append("QEMU's own total-time differs from the time measured here by "
                       f"{largest * 1000:+.0f} ms at most.")
    return group


def measure_load(shop, size, runs, seconds, say):
    out, stream = shop.path("out"), shop.path("stream")
    hashed = stream.stat().st_size / size

    cases = {"cp": Case("cp of the stream", lambda: child.measure(["cp", stream, out]),
                        after=lambda: shop.remove("out"))}
    for jobs in JOBS:
        limit = ((1, f"decrypt-{jobs}"), (hashed, f"hash-{jobs}"))
        cases[f"load-{jobs}"] = Case(
            "load, 100 % private", lambda jobs=jobs: child.measure(shop.load(stream, out, jobs)),
            jobs, before=shop.fresh_instance, after=lambda: shop.remove("out"), limit=limit,
            limit_writing=limit + ((1 / jobs, "write"),))
    cases["write"] = write_case(shop, size)
    cases |= speeds(shop, size, seconds, ("decrypt",))
    group = Group("load", f"Load {size_text(size)} of random memory, all private", cases,
                  {"cp": "/ cp"})
    alternate(cases, runs, say, [stream])
    return group


def measure_verify(shop, size, runs, seconds, say):
    stream = shop.path("stream")
    hashed = stream.stat().st_size / size
    cases = {"digest": Case("openssl dgst -sha256 of the stream", lambda: child.measure(
        ["openssl", "dgst", "-sha256", stream]))}
    for keyed in (False, True):
        for jobs in JOBS:
            limit = ((hashed, f"hash-{jobs}"),) + (((1, f"decrypt-{jobs}"),) if keyed else ())
            cases[f"{'keyed' if keyed else 'keyless'}-{jobs}"] = Case(
                "verify, with keys" if keyed else "verify, without keys",
                lambda keyed=keyed, jobs=jobs: child.measure(shop.verify(stream, jobs, keyed)),
                jobs, limit=limit)
    cases |= speeds(shop, size, seconds, ("decrypt",))
    group = Group("verify", f"Verify the stream of {size_text(size)} of random memory, all private",
                  cases, {"digest": "/ dgst"})
    alternate(cases, runs, say, [stream])
    return group


def measure(shop, size, runs, seconds, wanted, say):
    """The groups of those names; yields each when it is done."""
    say(f"making {size_text(size)} of random memory")
    memory = shop.random_memory("memory", size)
    try:
        if "save" in wanted:
            # How large each stream becomes is part of the limits, and known before any clock runs.
            sizes = {}
            for percent in (100, 50, 0):
                child.run(shop.save(memory, private_ranges(shop, size, percent),
                                    shop.path("out"), 1))
                sizes[percent] = shop.path("out").stat().st_size
                shop.remove("out")
            yield measure_save(shop, size, sizes, runs, seconds, say)
        if "load" in wanted or "verify" in wanted:
            child.run(shop.save(memory, "all", shop.path("stream"), 1))
            shop.remove("memory")
        if "load" in wanted:
            yield measure_load(shop, size, runs, seconds, say)
        if "verify" in wanted:
            yield measure_verify(shop, size, runs, seconds, say)
    finally:
        shop.remove("memory", "stream", "out")
