"""What the figures must show: each requirement, what was measured of it, and whether it is met."""

import dataclasses

from machine import MIB
from workshop import size_text

PEAK = 64 * MIB


@dataclasses.dataclass
class Verdict:
    number: int
    requirement: str
    measured: str
    # None: not measured.
    met: bool | None


def faster_than_qemu(groups):
    if "save" not in groups:
        return None
    group = groups["save"]
    times = group.ratio("qemu", "save-100-2")
    bound = group.cases["qemu"].median / group.limit(group.cases["save-100-2"])
    return (f"{times:.2f} times as fast; without anything but encryption and hashing it would be "
            f"{bound:.2f}", times >= 3)


def near_the_limit(groups):
    if not {"save", "load"} <= groups.keys():
        return None
    said, met = [], True
    for name, key in (("save", "save-100-2"), ("load", "load-2")):
        group = groups[name]
        case = group.cases[key]
        part, copies = group.of_limit(case), group.ratio(key, "cp")
        said.append(f"{name} {part:.0%} of the limit ({group.of_limit(case, writing=True):.0%} of "
                    f"that with writing), {copies:.2f} times cp")
        met = met and part >= 0.85 and copies <= 2
    return "; ".join(said), met


def two_jobs(groups):
    if not {"save", "load", "verify"} <= groups.keys():
        return None
    pairs = (("save", "save-100"), ("load", "load"), ("verify", "keyless"), ("verify", "keyed"))
    gains = {key: groups[name].ratio(f"{key}-1", f"{key}-2") for name, key in pairs}
    texts = {"save-100": "save", "load": "load", "keyless": "verify", "keyed": "verify with keys"}
    return (", ".join(f"{texts[key]} {gain:.2f} times" for key, gain in gains.items()),
            min(gains.values()) >= 1.7)


def verify_and_inspect(groups):
    if not {"verify", "inspect"} <= groups.keys():
        return None
    verify = groups["verify"].ratio("digest", "keyless-2")
    inspect = groups["inspect"].ratio("inspect", "walker")
    return (f"verify {verify:.2f} times as fast as openssl dgst; inspect 1/{1 / inspect:.0f} of "
            "analyze-migration's time", verify >= 1.7 and inspect < 0.1)


def peak_memory(groups):
    if not {"sparse", "dense"} <= groups.keys():
        return None
    peaks = {f"{case.name} ({name})": case.own_peak for name in ("sparse", "dense")
             for case in groups[name].cases.values()}
    most = max(peaks, key=peaks.get)
    sizes = [int(key.rpartition("-")[2]) for key in groups["sparse"].cases]
    return (f"at most {peaks[most] / MIB:.1f} MiB, from {size_text(min(sizes))} to "
            f"{size_text(max(sizes))}: {most}", peaks[most] <= PEAK)


def start_up(groups):
    if "start" not in groups:
        return None
    cases = groups["start"].cases
    shown = {kind: max(case.median for key, case in cases.items()
                       if key != "true" and key.startswith("static") == bool(kind))
             for kind in ("", "static") if any(key.startswith(kind or "save") for key in cases)}
    said = [f"{time * 1000:.1f} ms" + (" in the static build" if kind else "")
            for kind, time in shown.items()]
    return "slowest tool " + ", ".join(said), max(shown.values()) < 0.020


REQUIREMENTS = (
    ("save, wrapped and sealed, at least 3 times as fast as QEMU's plain migrate",
     faster_than_qemu),
    ("save and load at 85 % or more of what openssl speed allows, and at most 2 times cp",
     near_the_limit),
    ("two jobs at least 1.7 times as fast as one", two_jobs),
    ("keyless verify at least 1.7 times as fast as openssl dgst -sha256; inspect under a tenth of "
     "analyze-migration's time", verify_and_inspect),
    ("peak resident set of every tool at most 64 MiB beyond the mapped input, from 256 MiB to "
     "16 GiB", peak_memory),
    ("--version under 20 ms", start_up),
)


def judge(groups):
    """`groups`: those that were measured, by name."""
    verdicts = []
    for number, (requirement, measure) in enumerate(REQUIREMENTS, start=1):
        measured, met = measure(groups) or ("not measured", None)
        verdicts.append(Verdict(number, requirement, measured, met))
    return verdicts
