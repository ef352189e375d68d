"""What the figures must show: each requirement, what was measured of it, and whether it is met."""

import dataclasses

from machine import MIB
from workshop import size_text

PEAK = 64 * MIB


@dataclasses.dataclass
class Verdict:
    number: int
    requirement: str
    # Empty: not measured.
    measured: str
    # None: not measured, or not judged because the settings are not those it is meant for.
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
        part, copies = group.of_limit_of_openssl(case), group.ratio(key, "cp")
        said.append(f"{name} {part:.0%} of what openssl speed allows, {group.of_limit(case):.0%} "
                    f"of the limit ({group.of_limit(case, writing=True):.0%} of that with "
                    f"writing), {copies:.2f} times cp")
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


def times(group, *pairs):
    """How many times as fast the second of each pair is as the first: by the second's key."""
    return {fast: group.ratio(slow, fast) for slow, fast in pairs}


def hashing_one_job(groups):
    if not {"verify", "plain"} <= groups.keys():
        return None
    verify = groups["verify"].ratio("digest", "keyless-1")
    plain = times(groups["plain"], ("digest", "seal-null"), ("digest", "ram-hashes"))
    written = groups["plain"].ratio("digest", "seal")
    return (f"verify {verify:.2f} times; seal to /dev/null {plain['seal-null']:.2f} ({written:.2f} "
            f"to a file), inspect --ram-hashes {plain['ram-hashes']:.2f} times",
            verify >= 1.3 and min(plain.values()) >= 1.2)


def faster_than_before(groups):
    if "before" not in groups:
        return None
    gains = times(groups["before"], ("save-older", "save-now"), ("keyed-older", "keyed-now"))
    keyless = groups["before"].ratio("keyless-older", "keyless-now")
    return (f"save {gains['save-now']:.2f} times, verify with keys {gains['keyed-now']:.2f} times "
            f"(without keys {keyless:.2f})", min(gains.values()) >= 1.25)


def bounds(group, key):
    """What bounds a case, in seconds of each kind of work; the rest is the tool's and the
    kernel's."""
    case = group.cases[key]
    terms = group.terms(case, writing=True) or group.terms(case)
    parts = [f"{name} {seconds:.2f}" for name, seconds in terms.items()]
    parts.append(f"rest {case.median - sum(terms.values()):.2f}")
    if "write" not in terms:
        parts.append(f"of which writing alone takes {group.cases['write-synced'].median:.2f}, in part "
                     "meanwhile")
    return ", ".join(parts)


def beside_both_qemus(groups):
    if not {"peers-files", "peers-disk"} <= groups.keys():
        return None
    said, met = [], True
    for name, where, end in (("peers-files", "in memory", ""),
                             ("peers-disk", "on disk, fsync of each", "-synced")):
        group = groups[name]
        old, new = (group.ratio(key, "save-2") for key in (f"qemu{end}", f"qemu-file{end}"))
        fastest = group.cases[f"qemu{end}"].fastest / group.cases["save-2"].fastest
        said.append(f"{where}: {old:.2f} times QEMU 7.2 ({fastest:.2f} by the fastest runs), {new:.2f} "
                    f"times QEMU 10; seconds: save "
                    f"{group.cases['save-2'].median:.2f} = {bounds(group, 'save-2')}")
        met = met and old >= 2 and new >= 1
    return "; ".join(said), met


def one_job_near_the_limit(groups):
    if not {"save", "load", "verify"} <= groups.keys():
        return None
    parts = {name: groups[name].of_limit(groups[name].cases[key], writing=True)
             for name, key in (("save", "save-100-1"), ("load", "load-1"))}
    gains = {text: gain_beside_openssl(groups[name], key) for text, name, key in (
        ("save", "save", "save-100"), ("load", "load", "load"), ("verify", "verify", "keyless"),
        ("verify with keys", "verify", "keyed"))}
    said = [f"{name} {part:.0%}" for name, part in parts.items()]
    said += [f"{text} gains {gain:.2f}" for text, gain in gains.items()]
    return ", ".join(said), min(parts.values()) >= 0.95 and min(gains.values()) >= 0.9


def gain_beside_openssl(group, key):
    """What two jobs gain over one, as a part of what two processes of `openssl speed` gain with the
    same work."""
    one, two = (group.limit_of_openssl(group.cases[f"{key}-{jobs}"]) for jobs in (1, 2))
    return group.ratio(f"{key}-1", f"{key}-2") / (one / two)


REQUIREMENTS = (
    ("save, wrapped and sealed, at least 3 times as fast as QEMU's plain migrate",
     faster_than_qemu),
    ("save and load at 85 % or more of what openssl speed allows, and at most 2 times cp",
     near_the_limit),
    ("two jobs at least 1.7 times as fast as one", two_jobs),
    ("keyless verify at least 1.7 times as fast as openssl dgst -sha256; inspect under a tenth of "
     "analyze-migration's time", verify_and_inspect),
    ("peak resident set of save, load, verify, inspect and import at most 64 MiB, from 256 MiB to "
     "16 GiB", peak_memory),
    ("--version under 20 ms", start_up),
    ("one job: keyless verify at least 1.3 times as fast as openssl dgst -sha256, seal of a plain "
     "stream and inspect --ram-hashes at least 1.2 times", hashing_one_job),
    ("one job: save to /dev/null, and verify with keys, at least 1.25 times as fast as the tools "
     "of --before", faster_than_before),
    ("save, in memory and on disk: at least 2 times as fast as QEMU 7.2's exec:cat, not slower "
     "than QEMU 10's file:", beside_both_qemus),
    ("one job: at 95 % or more of the limit with writing; two jobs: at least 0.9 of what openssl "
     "speed gains by -multi 2", one_job_near_the_limit),
)


def judge(groups, are_meant):
    """`groups`: those that were measured, by name. `are_meant`: whether with the sizes and runs that
    the requirements are meant for; with others what was measured is said and not judged."""
    verdicts = []
    for number, (requirement, measure) in enumerate(REQUIREMENTS, start=1):
        measured, met = measure(groups) or ("", None)
        verdicts.append(Verdict(number, requirement, measured, met if are_meant else None))
    return verdicts
