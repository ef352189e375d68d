"""How fast one or more processes encrypt, decrypt and hash with the engines that the tools have.

The leaves of a seal are hashed by `Sources/CSHA256`, three at once, where the processor has the SHA
extensions and AVX2; pages are encrypted by libgcrypt where it has VAES and no AVX-512. Elsewhere
libcrypto does it, and `openssl speed` tells.
"""

import pathlib
import resource
import shutil
import subprocess

import child
import openssl

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "Sources"
# The exit status of a driver where the tools have libcrypto.
LACKING = 2
# By the kind of work: the driver, its words before the seconds, and how a table names it.
DRIVERS = {"encrypt": ("pages", ["encrypt"], "AES-256-GCM, libgcrypt, encrypt pages"),
           "decrypt": ("pages", ["decrypt"], "AES-256-GCM, libgcrypt, decrypt pages"),
           "hash": ("lanes", [], "SHA-256, three leaves at once")}
# Of each driver, what it is built of beside its own file.
BUILT_OF = {"pages": ["-I", SOURCES / "CLibGCrypt"],
            "lanes": ["-I", SOURCES / "CSHA256/include", SOURCES / "CSHA256/sha256_lanes.c"]}
LIBRARIES = {"pages": ["-lgcrypt"], "lanes": []}


def compiler():
    """The clang that comes with Swift, as it builds the tools: others leave the engine's loops as
    they are, and it would be slower than the tools."""
    swift = shutil.which("swift")
    beside = pathlib.Path(swift).resolve().parent / "clang" if swift else None
    found = beside if beside and beside.exists() else shutil.which("clang")
    if not found:
        raise child.Failed("no clang beside swift, and none in PATH, to measure engines with")
    return found


def children_used():
    """Seconds of processors that ended children used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Engines:
    """The drivers, built in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for driver, parts in BUILT_OF.items():
            child.run([compiler(), "-O2", *parts, "-o", self.folder / driver, HERE / f"{driver}.c",
                       *LIBRARIES[driver]])
        self.own = {what for what in DRIVERS if self.is_own(what)}

    def command(self, what, seconds):
        driver, words, _ = DRIVERS[what]
        return [str(self.folder / driver), *words, str(seconds)]

    def is_own(self, what):
        """Whether the tools have another engine than libcrypto for this work."""
        command = self.command(what, 0)
        status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
        if status not in (0, LACKING):
            raise child.Failed(f"{command[0]} exits {status}")
        return status == 0

    def measure(self, what, jobs, seconds, count):
        """The time that `count` bytes would take at the speed of all processes together."""
        command = self.command(what, seconds)
        used, clock = children_used(), child.Clock()
        running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(jobs)]
        try:
            said = [process.communicate()[0] for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
        measured = clock.stop(lambda: children_used() - used)
        if any(process.returncode for process in running):
            raise child.Failed(f"{command[0]} does not say how fast it is")
        return child.Measured(count / sum(map(float, said)), others=measured.others)


def cases_of(what, case, engines, jobs, seconds, count):
    """Cases of one kind of work, by keys like "encrypt-2" for the engine of the tools and
    "openssl-encrypt-2" for libcrypto, where that is another one. `case`: makes one of a name and an
    action."""
    processes = f"{jobs} process" + ("es" if jobs > 1 else "")
    speed = case(f"openssl speed, {openssl.NAMES[what]}, {processes}",
                 lambda: openssl.measure(openssl.WORDS[what], jobs, seconds, count))
    if what not in engines.own:
        return {f"{what}-{jobs}": speed}
    own = case(f"{DRIVERS[what][2]}, {processes}",
               lambda: engines.measure(what, jobs, seconds, count))
    return {f"{what}-{jobs}": own, f"openssl-{what}-{jobs}": speed}
