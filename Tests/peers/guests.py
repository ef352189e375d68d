"""What the guests of Fixtures/qemu print on their console, and whether it is right.

The small Linux prints `tick N CHAIN` each second, and every third time `sum N SHA256` of a file in
its memory; the boot sector prints `tick N CHAIN SUM`, in hexadecimal, about as often. A chain value
follows from the one before and from N, so a guest that was set back, or lost memory, shows it.
"""

import hashlib
import re


def linux_chain(before, number):
    return hashlib.md5(f"{before} {number}".encode()).hexdigest()


def linux_file():
    """384 pages, each of digests of `fixture:PAGE:INDEX`: 128 of them in the first 64 pages, then
    two, repeated."""
    pages = []
    for page in range(384):
        count = 128 if page < 64 else 2
        digests = b"".join(hashlib.sha256(f"fixture:{page}:{index}".encode()).digest()
                           for index in range(count))
        pages.append(digests * (128 // count))
    return b"".join(pages)


def boot_chain(before, number):
    return f"{(int(before, 16) * 1664525 + 1013904223 + number) % (1 << 32):08x}"


class Guest:
    """What one guest must print."""

    def __init__(self, kind):
        if kind == "tiny":
            self.pattern = re.compile(r"tick (?P<number>\d+) (?P<chain>[0-9a-f]{32})"
                                      r"|sum \d+ (?P<sum>[0-9a-f]{64})")
            self.next_chain, self.chains, self.base = linux_chain, ["0"], 10
            self.sum = hashlib.sha256(linux_file()).hexdigest()
        else:
            self.pattern = re.compile(r"tick (?P<number>[0-9a-f]{8}) (?P<chain>[0-9a-f]{8}) "
                                      r"(?P<sum>[0-9a-f]{8})")
            self.next_chain, self.chains, self.base = boot_chain, ["51f15eed"], 16
            # Of 1 MiB that it filled from a generator with a fixed seed.
            self.sum = "38520000"

    def chain(self, number):
        while len(self.chains) <= number:
            self.chains.append(self.next_chain(self.chains[-1], len(self.chains)))
        return self.chains[number]

    def read(self, console):
        """All ticks, the number of right sums, and what is wrong or None, in the whole lines of a
        console."""
        ticks, sums = [], 0
        for line in re.split(r"\r*\n", console)[:-1]:
            found = self.pattern.fullmatch(line)
            if found and found["number"]:
                number = int(found["number"], self.base)
                if ticks and number != ticks[-1] + 1:
                    return ticks, sums, f"tick {number} after {ticks[-1]}"
                if number > 1_000_000 or found["chain"] != self.chain(number):
                    return ticks, sums, f"tick {number} has another chain value"
                ticks.append(number)
            if found and found["sum"]:
                if found["sum"] != self.sum:
                    return ticks, sums, "the memory's checksum is wrong"
                sums += 1
            if re.search("Oops|BUG:|panic|segfault|Call Trace", line):
                return ticks, sums, line
        return ticks, sums, None
