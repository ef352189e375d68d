"""Reads what valgrind's callgrind wrote: instructions of each object file, calls of functions.

The format: valgrind's manual, "Callgrind Format Specification". Names are given once, with a
number, and by the number alone from then on.
"""

import collections
import re

NAMED = re.compile(r"(\w+)=\((\d+)\)(?: (.*))?$")
# Lines that name what costs belong to, and lines that name what is called.
OBJECT, CALLED_OBJECT, FUNCTION, CALLED_FUNCTION = "ob", "cob", "fn", "cfn"


def read(path):
    """Instructions that ran in each object file itself, by its path; and how often each function
    was called, by its name."""
    names = collections.defaultdict(dict)
    instructions, calls = collections.Counter(), collections.Counter()
    current = called = ""
    inclusive = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            first = line[:1]
            if first.isdigit() or first in "+-*":
                # Behind "calls=" stands what the call cost inside of the function called: it is
                # counted there.
                if not inclusive:
                    instructions[current] += int(line.split()[1])
                inclusive = False
            elif line.startswith("calls="):
                calls[called] += int(line[6:].split()[0])
                inclusive = True
            elif match := NAMED.match(line):
                kind, number, name = match.groups()
                table = names["object" if kind in (OBJECT, CALLED_OBJECT) else
                              "function" if kind in (FUNCTION, CALLED_FUNCTION) else "file"]
                if name is not None:
                    table[number] = name
                if kind == OBJECT:
                    current = table[number]
                elif kind == CALLED_FUNCTION:
                    # A function that calls itself has a number of its own for each depth.
                    called = re.sub(r"'\d+$", "", table[number])
    return instructions, calls
