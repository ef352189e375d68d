"""Runs one program and measures it: wall time, processor time, peak resident set.

The peak is the kernel's, of that one process. A child that has not yet become its program counts
with the memory of the process that starts it, so no peak is below that of this one: modules here
hold no large data.
"""

import dataclasses
import os
import select
import subprocess
import tempfile
import time

import machine


# A shorter run says nothing of what others did meanwhile, in seconds.
COUNTED = 0.5


class Failed(Exception):
    """A program that is measured did not do its work."""


@dataclasses.dataclass
class Measured:
    """One run. Times in seconds, peak in bytes; None is what cannot be known."""
    wall: float
    processor: float | None = None
    peak: int | None = None
    # Part of all processors, 0 to 1, that others had meanwhile: other programs, or the host.
    others: float | None = None
    # The part of the peak that is no mapped file; only where it was watched.
    own_peak: int | None = None


class Clock:
    """Wall time, and what all processors did, from its making on."""

    def __init__(self):
        self.busy = machine.processors_busy()
        self.own = time.process_time()
        self.start = time.perf_counter()

    def stop(self, processor=None, **rest):
        """`processor`: tells the seconds that the measured program itself used, and may wait for what it
        started; none where this process does the work itself."""
        wall = time.perf_counter() - self.start
        used = processor() if processor else None
        foreign = (machine.processors_busy() - self.busy - (time.process_time() - self.own)
                   - (used or 0))
        # The kernel counts in hundredths of a second.
        others = min(max(foreign / (wall * os.cpu_count()), 0), 1) if wall >= COUNTED else None
        return Measured(wall, processor=used, others=others, **rest)


def resident(pid):
    """Bytes of a process that are neither tmpfs nor shared memory, and bytes that are: a mapped
    input on tmpfs is among the latter. None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = {key: int(value.split()[0]) * 1024 for key, _, value in
                     (line.partition(":") for line in status) if key.startswith("Rss")}
    except (OSError, ValueError):
        return None
    if "RssShmem" not in found:
        return None
    return found["RssAnon"] + found["RssFile"], found["RssShmem"]


def wait(child, watch):
    """Waits for the end of a child; returns its resource usage, and the largest of what
    `resident` said of it every 5 ms if it is to be watched."""
    own = mapped = 0
    handle = os.pidfd_open(child.pid)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        while not poller.poll(5 if watch else None):
            seen = resident(child.pid)
            if seen:
                own, mapped = max(own, seen[0]), max(mapped, seen[1])
    finally:
        os.close(handle)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage, own, mapped


def words(command):
    return [str(word) for word in command]


def start(command, messages, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
    """Starts a program whose messages go to the file `messages`."""
    return subprocess.Popen(words(command), stdin=stdin, stdout=stdout, stderr=messages)


def check(command, child, messages):
    if child.returncode != 0:
        messages.seek(0)
        said = messages.read().decode(errors="replace").strip().splitlines()
        raise Failed(f"{' '.join(words(command))} exits {child.returncode}"
                     + (f": {said[-1]}" if said else ""))


def measure(command, watch=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
    """Runs a program to its end and measures it, with the programs it started and waited for."""
    with tempfile.TemporaryFile() as messages:
        clock = Clock()
        child = start(command, messages, stdin=stdin, stdout=stdout)
        try:
            usage, own, mapped = wait(child, watch)
        except BaseException:
            child.kill()
            child.wait()
            raise
        peak = usage.ru_maxrss * 1024
        measured = clock.stop(lambda: usage.ru_utime + usage.ru_stime, peak=peak)
        check(command, child, messages)
    if watch:
        # Without a mapping the kernel's figure is exact; what is seen every 5 ms can only be less.
        measured.own_peak = max(own, peak - mapped)
    return measured


def measure_pipe(producer, consumer):
    """Runs `producer | consumer` and measures the consumer, which waits for the producer."""
    with tempfile.TemporaryFile() as messages:
        feeding = start(producer, messages, stdout=subprocess.PIPE)
        try:
            eating = measure(consumer, watch=True, stdin=feeding.stdout)
            feeding.stdout.close()
            feeding.wait()
        except BaseException:
            feeding.kill()
            feeding.wait()
            raise
        check(producer, feeding, messages)
    # The producer is counted among the others, and is none.
    eating.others = None
    return eating


def output(command):
    """What a program prints, errors included; it may end as it likes."""
    done = subprocess.run(words(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode(errors="replace")


def run(command):
    """Runs a program that is not measured."""
    with tempfile.TemporaryFile() as messages:
        child = start(command, messages)
        child.wait()
        check(command, child, messages)
