"""The same work on guests of growing size: how time and memory grow."""

import child
from machine import GIB, MIB
from rounds import Case, Group, alternate
from workshop import PIECE, PIECES, size_text

SIZES = (256 * MIB, GIB, 4 * GIB, 16 * GIB)
QUICK = (256 * MIB, GIB, 2 * GIB)
JOBS = 2


def sparse_cases(shop, size):
    """Memory that is there only in pieces, and private just there: the rest are zero pages."""
    mark = size // MIB
    memory = shop.sparse_memory(f"memory-{mark}", size, PIECES)
    private = shop.ranges(range(0, size, size // PIECES), PIECE)
    stream, out = shop.path(f"stream-{mark}"), shop.path("out")
    child.run(shop.save(memory, private, stream, JOBS))
    commands = {"save": shop.save(memory, private, out, JOBS),
                "load": shop.load(stream, out, JOBS),
                "verify": shop.verify(stream, JOBS, keyed=False),
                "verify, with keys": shop.verify(stream, JOBS, keyed=True),
                "inspect": shop.inspect(stream),
                "guest import": shop.import_raw(memory, private, out)}

    return {f"{name}-{size}": Case(
        f"{name}, {size_text(size)}", lambda command=command: child.measure(command, watch=True),
        JOBS if "--jobs" in command else None, before=shop.fresh_instance, after=lambda: shop.remove("out"))
        for name, command in commands.items()}


def measure_sparse(shop, sizes, runs, say):
    try:
        cases = {}
        for size in sizes:
            say(f"making a sparse guest of {size_text(size)}")
            cases |= sparse_cases(shop, size)
        alternate(cases, runs, say)
    finally:
        shop.remove("out", *(f"{name}-{size // MIB}" for name in ("memory", "stream")
                             for size in sizes))
    names = dict.fromkeys(key.rpartition("-")[0] for key in cases)
    ordered = {f"{name}-{size}": cases[f"{name}-{size}"] for name in names for size in sizes}
    return Group("sparse", f"Sparse guests: {size_text(PIECES * PIECE)} private, the rest shared "
                 "zero pages", ordered)


def measure_dense(shop, sizes, say):
    """All memory private: every page is encrypted and sent, but stored nowhere. What reads a
    stream gets it from a save through a pipe, and takes its time from that."""
    out = shop.path("out")
    cases = {}
    for size in sizes:
        memory = shop.sparse_memory("memory", size)
        try:
            cases |= dense_cases(shop, memory, size, out)
            mine = {key: case for key, case in cases.items() if key.endswith(f"-{size}")}
            alternate(mine, 1, say, warm_up=False)
        finally:
            shop.remove("memory", "out")
    names = dict.fromkeys(key.rpartition("-")[0] for key in cases)
    ordered = {f"{name}-{size}": cases[f"{name}-{size}"] for name in names for size in sizes}
    return Group("dense", "All memory private: nothing stored, streams through a pipe", ordered,
                 notes=["One run each, and save with the tool that reads: times are only rough."])


def dense_cases(shop, memory, size, out):
    feed = shop.save(memory, "all", "-", JOBS)
    eaters = {"save | load": shop.load("-", out, JOBS),
              "save | verify": shop.verify("-", JOBS, keyed=False),
              "save | verify, with keys": shop.verify("-", JOBS, keyed=True),
              "save | inspect": shop.inspect("-")}
    cases = {f"save-{size}": Case(
        f"save to /dev/null, {size_text(size)}",
        lambda: child.measure(shop.save(memory, "all", "/dev/null", JOBS), watch=True), JOBS)}
    for name, command in eaters.items():
        cases[f"{name}-{size}"] = Case(
            f"{name}, {size_text(size)}",
            lambda command=command: child.measure_pipe(feed, command),
            JOBS if "--jobs" in command else None,
            before=shop.fresh_instance, after=lambda: shop.remove("out"))
    return cases


def growth(group):
    """For each kind of work: seconds for each further GiB, from each size to the next."""
    by_name = {}
    for key, case in group.cases.items():
        name, _, size = key.rpartition("-")
        by_name.setdefault(name, []).append((int(size), case.median))
    return {name: [(later[0], (later[1] - sooner[1]) / (later[0] - sooner[0]) * GIB)
                   for sooner, later in zip(points, points[1:])]
            for name, points in by_name.items()}
