"""Shows what was measured: tables for people, one JSON document for programs."""

import dataclasses

from machine import GIB, MIB
from scaling import growth

# From this part of the processors on, what others did is shown beside a figure.
DISTURBED = 0.05


def seconds(value):
    return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.3f} s"


def percent(value):
    return "" if value is None else f"{value:.0%}"


def columns(group):
    """Headings and rows of a group; a column without any entry is left out."""
    heads = ["", "jobs", "time", "fastest", "spread", "peak", *group.references.values(), "of limit",
             "with writing", "of openssl's", "others"]
    rows = []
    for key, case in group.cases.items():
        ratios = ["" if key == other else f"{group.ratio(key, other):.2f}"
                  for other in group.references]
        peak = case.own_peak if case.own_peak is not None else case.peak
        others = case.others if case.others and case.others >= DISTURBED else None
        rows.append([case.name, str(case.jobs or ""), seconds(case.median),
                     seconds(case.fastest) if len(case.runs) > 1 else "",
                     percent(case.spread) if len(case.runs) > 1 else "",
                     f"{peak / MIB:.1f} MiB" if peak else "", *ratios,
                     percent(group.of_limit(case)), percent(group.of_limit(case, writing=True)),
                     percent(group.of_limit_of_openssl(case)), percent(others)])
    used = [index for index in range(len(heads)) if any(row[index] for row in rows)]
    return [[row[index] for index in used] for row in [heads, *rows]]


def show_group(group):
    lines = [f"== {group.title}"]
    table = columns(group)
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))]
    for row in table:
        cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                 for index, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    if group.name in ("sparse", "dense"):
        lines.append("  time of each further GiB, from one size to the next:")
        lines += [f"    {name}: " + ", ".join(f"{seconds(slope)}" for _, slope in slopes)
                  for name, slopes in growth(group).items()]
    lines += [f"  {note}" for note in group.notes]
    return "\n".join(lines) + "\n"


def show_facts(facts, settings, warnings):
    machine = (f"{facts['processors']} x {facts['processor']}"
               f"{', virtual' if facts['virtual'] else ''}, "
               f"{facts['memory_bytes'] / GIB:.0f} GiB, Linux {facts['kernel']}")
    lines = [f"Machine   {machine}",
             f"Files     {facts['file_system']}, of the disk {facts['disk_file_system']}",
             f"Load      {' '.join(map(str, facts['load']))}, processors in use by others "
             f"{facts['in_use']:.0%}",
             *(f"{'Peers' if not index else '':<9} {peer}"
               for index, peer in enumerate(facts["peers"])),
             f"Runs      {settings['runs']} of most programs after one that does not count, "
             "alternating; medians"]
    return "\n".join(lines + [f"WARNING   {warning}" for warning in warnings]) + "\n"


def show_verdicts(verdicts, sizes):
    words = {True: "met", False: "NOT MET"}
    lines = [f"== What it must show; measured with {sizes}"]
    for verdict in verdicts:
        word = words.get(verdict.met, "not judged" if verdict.measured else "not measured")
        lines.append(f" {verdict.number:>2}  {word:<12}  {verdict.requirement}")
        if verdict.measured:
            lines.append(f"  {'':<15}  measured: {verdict.measured}")
    return "\n".join(lines) + "\n"


def document(facts, settings, warnings, groups, verdicts):
    """All of it as values of JSON; Formats/performance.md describes it."""
    def case_values(group, key, case):
        return {
            "key": key, "name": case.name, "jobs": case.jobs, "median_seconds": case.median,
            "fastest_seconds": case.fastest, "spread": case.spread, "peak_bytes": case.peak,
            "own_peak_bytes": case.own_peak, "others": case.others,
            "ratios": {other: group.ratio(key, other) for other in group.references
                       if other != key},
            "of_limit": group.of_limit(case),
            "of_limit_with_writing": group.of_limit(case, writing=True),
            "of_limit_of_openssl": group.of_limit_of_openssl(case),
            "runs": [dataclasses.asdict(run) for run in case.runs],
        }
    return {
        "schema": "svsm-migration/bench/1",
        "machine": facts,
        "settings": settings,
        "warnings": warnings,
        "groups": [{"name": group.name, "title": group.title, "notes": group.notes,
                    "cases": [case_values(group, *item) for item in group.cases.items()]}
                   for group in groups],
        "requirements": [dataclasses.asdict(verdict) for verdict in verdicts],
    }
