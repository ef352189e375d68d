"""How fast one or more processes hash with the engine that the tools have for the leaves of a seal.

Where the processor has the SHA extensions and AVX2 that is `Sources/CSHA256`, three leaves at once;
elsewhere it is libcrypto, and `openssl speed` tells.
"""

import pathlib
import resource
import shutil
import subprocess

import child
import openssl

HERE = pathlib.Path(__file__).resolve().parent
ENGINE = HERE.parents[1] / "Sources/CSHA256"
# The exit status of the driver where the processor lacks something.
LACKING = 2


def compiler():
    """The clang that comes with Swift, as it builds the tools: others leave the engine's loops as
    they are, and it would be slower than the tools."""
    swift = shutil.which("swift")
    beside = pathlib.Path(swift).resolve().parent / "clang" if swift else None
    found = beside if beside and beside.exists() else shutil.which("clang")
    if not found:
        raise child.Failed("no clang beside swift, and none in PATH, to measure hashing with")
    return found


def children_used():
    """Seconds of processors that ended children used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Engine:
    """The driver, built in a folder."""

    def __init__(self, folder):
        self.program = pathlib.Path(folder) / "lanes"
        child.run([compiler(), "-O2", "-I", ENGINE / "include", "-o", self.program,
                   HERE / "lanes.c", ENGINE / "sha256_lanes.c"])
        probe = subprocess.run([self.program, "0"], stdout=subprocess.DEVNULL, check=False)
        if probe.returncode not in (0, LACKING):
            raise child.Failed(f"{self.program} exits {probe.returncode}")
        self.has_lanes = probe.returncode == 0
        self.text = "SHA-256, three leaves at once" if self.has_lanes else "SHA-256, libcrypto"

    def measure(self, jobs, seconds, count):
        """The time that `count` bytes would take at the speed of all processes together."""
        if not self.has_lanes:
            return openssl.measure(openssl.HASH, jobs, seconds, count)
        used, clock = children_used(), child.Clock()
        running = [subprocess.Popen([self.program, str(seconds)], stdout=subprocess.PIPE)
                   for _ in range(jobs)]
        try:
            said = [process.communicate()[0] for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        measured = clock.stop(lambda: children_used() - used)
        if any(process.returncode for process in running):
            raise child.Failed(f"{self.program} does not say how fast it is")
        return child.Measured(count / sum(map(float, said)), others=measured.others)
