"""How long the tools take to do nothing, and how large they are when built to be shipped."""

import pathlib

import child
from machine import MIB
from rounds import Case, Group, alternate

RUNS = 21
TOOLS = ("guest", "prepare", "save", "load", "inspect", "verify", "diff", "seal", "attest", "attack")


def measure(tools, static, say):
    """`static`: folder of the tools built for shipping, or None."""
    cases = {"true": Case("true", lambda: child.measure(["true"]))}
    for kind, folder in (("", tools), ("static", static)):
        for tool in TOOLS if folder else ():
            path = pathlib.Path(folder) / f"svsm-mig-{tool}"
            cases[f"{kind}{tool}"] = Case(
                f"svsm-mig-{tool} --version" + (", static" if kind else ""),
                lambda path=path: child.measure([path, "--version"]))
    # A run is so short that a note for each would be part of what is measured.
    say(f"start-up, {RUNS} runs")
    alternate(cases, RUNS, lambda _: None)
    group = Group("start", "Start-up: the process is made, prints its version and ends", cases,
                  {"true": "/ true"})
    if static:
        group.notes += shipping(tools, static)
    return group


def shipping(tools, static):
    """What the static build is like: sizes, and what it still needs of its host."""
    dynamic_size, static_size = (
        max((pathlib.Path(folder) / f"svsm-mig-{tool}").stat().st_size for tool in TOOLS)
        for folder in (tools, static))
    needed = set()
    for tool in TOOLS:
        said = child.output(["ldd", pathlib.Path(static) / f"svsm-mig-{tool}"])
        needed |= {line.split()[0] for line in said.splitlines() if line.strip()}
    swift = sorted(name for name in needed if "swift" in name.lower())
    if swift:
        raise child.Failed(f"the static build needs {', '.join(swift)}")
    libraries = sorted(name for name in needed if name.startswith("lib"))
    return [f"Static build: {static_size / MIB:.1f} MiB for the largest tool, with debug "
            f"information and Swift's libraries outside {dynamic_size / MIB:.1f} MiB.",
            f"It needs no library of Swift, but {', '.join(libraries)}."]
