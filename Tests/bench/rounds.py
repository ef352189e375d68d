"""Alternating runs: A B C, A B C, ... so that what drifts, drifts for all; medians at the end."""

import dataclasses
import mmap
import os
import statistics
import typing

import machine
from child import Clock

BLOCK = b"\xa5" * (machine.MIB // 4)


def write_file(path, count):
    """Writes a file of `count` bytes from a buffer in the processor's cache, 256 KiB at a time."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for at in range(0, count, len(BLOCK)):
            block = BLOCK if count - at >= len(BLOCK) else BLOCK[:count - at]
            if os.write(file, block) != len(block):
                raise OSError(f"{path}: no room left")
    finally:
        os.close(file)


def measure_write(path, count):
    """The kernel's part of any output: the same bytes, written and nothing else."""
    clock = Clock()
    write_file(path, count)
    return clock.stop()


def read_file(path):
    """Reads a file once: the first access to memory that a virtual machine did not use for a while can
    cost many times as much, too."""
    block = bytearray(len(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while file.readinto(block):
            pass


def retain(path, count):
    """Makes `count` bytes of memory ready: each page is touched, and all are given back but the first of
    each mebibyte, which a file on a tmpfs keeps. The host of a virtual machine takes back memory that is
    free in large pieces, and finds memory anew when it is touched again. These pieces are small, and
    the kernel uses small ones first, so the runs get the same memory again and again."""
    write_file(path, count)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), count) as pages:
        for start in range(0, count, machine.MIB):
            pages.madvise(mmap.MADV_REMOVE, start + mmap.PAGESIZE, machine.MIB - mmap.PAGESIZE)


@dataclasses.dataclass
class Case:
    """One thing that is measured, and its runs."""
    name: str
    act: typing.Callable
    jobs: int | None = None
    # Done before and after each run, outside the measured time.
    before: typing.Callable = lambda: None
    after: typing.Callable = lambda: None
    # What bounds its time: (factor, key of another case) each; with and without writing.
    limit: tuple = ()
    limit_writing: tuple = ()
    runs: list = dataclasses.field(default_factory=list)

    @property
    def median(self):
        return statistics.median(run.wall for run in self.runs)

    @property
    def fastest(self):
        return min(run.wall for run in self.runs)

    @property
    def spread(self):
        """Slowest less fastest, as a part of the median."""
        walls = [run.wall for run in self.runs]
        return (max(walls) - min(walls)) / self.median

    @property
    def peak(self):
        peaks = [run.peak for run in self.runs if run.peak is not None]
        return max(peaks) if peaks else None

    @property
    def own_peak(self):
        peaks = [run.own_peak for run in self.runs if run.own_peak is not None]
        return max(peaks) if peaks else None

    @property
    def others(self):
        """Part of the processors that others had, over all runs."""
        known = [run for run in self.runs if run.others is not None]
        wall = sum(run.wall for run in known)
        return sum(run.others * run.wall for run in known) / wall if known else None


def turn(case, number, say, inputs):
    say(f"{number}: {case.name}" + (f", --jobs {case.jobs}" if case.jobs else ""))
    for path in inputs:
        read_file(path)
    case.before()
    try:
        return case.act()
    finally:
        case.after()


def alternate(cases, runs, say, inputs=(), warm_up=True):
    """Runs all cases in turn, `runs` times; `inputs` are read before each run. A first round that does
    not count finds programs and libraries out of the cache, and memory that was never touched."""
    if warm_up:
        for case in cases.values():
            turn(case, "warm-up", say, inputs)
    for number in range(runs):
        for case in cases.values():
            case.runs.append(turn(case, f"round {number + 1} of {runs}", say, inputs))


@dataclasses.dataclass
class Group:
    """Cases that were measured together, by key; what others are compared with comes first in
    `references`, by key, with the heading of its column."""
    name: str
    title: str
    cases: dict
    references: dict = dataclasses.field(default_factory=dict)
    notes: list = dataclasses.field(default_factory=list)

    def terms(self, case, writing=False):
        """Seconds of each kind of work that bounds a case, by "encrypt", "decrypt", "hash" and
        "write"."""
        parts = case.limit_writing if writing else case.limit
        return {key.partition("-")[0]: factor * self.cases[key].median for factor, key in parts}

    def limit(self, case, writing=False):
        """Seconds that nothing can beat that does the same work, or None."""
        terms = self.terms(case, writing)
        return sum(terms.values()) if terms else None

    def limit_of_openssl(self, case):
        """The limit, without writing, of who would do all with libcrypto, or None."""
        cases = [(factor, self.cases.get(f"openssl-{key}", self.cases[key]))
                 for factor, key in case.limit]
        return sum(factor * case.median for factor, case in cases) if cases else None

    def of_limit(self, case, writing=False):
        limit = self.limit(case, writing)
        return limit / case.median if limit else None

    def of_limit_of_openssl(self, case):
        limit = self.limit_of_openssl(case)
        return limit / case.median if limit else None

    def ratio(self, one, other):
        """How many times as long one takes as the other; both by key."""
        return self.cases[one].median / self.cases[other].median
