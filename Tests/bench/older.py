"""The tools beside those of an older commit, in turn, on the same memory."""

import child
from rounds import Case, Group, alternate
from workshop import Workshop, size_text


def measure(shop, folder, size, runs, say):
    """`folder`: the older tools. They make an instance and a stream of their own."""
    scratch = shop.path("older")
    scratch.mkdir()
    memory, found = shop.random_memory("memory", size), {}
    inputs = [memory]
    try:
        for key, name, own in (("now", "", shop),
                               ("older", ", older", Workshop(folder, scratch))):
            stream = own.path("stream")
            child.run(own.save(memory, "all", stream, 1))
            inputs.append(stream)
            for work, text, command in (
                    ("save", "save to /dev/null", own.save(memory, "all", "/dev/null", 1)),
                    ("keyless", "verify, without keys", own.verify(stream, 1, keyed=False)),
                    ("keyed", "verify, with keys", own.verify(stream, 1, keyed=True))):
                found[f"{work}-{key}"] = Case(
                    text + name, lambda command=command: child.measure(command), 1)
        # What is compared runs one directly after the other.
        cases = {key: found[key] for work in ("save", "keyless", "keyed")
                 for key in (f"{work}-now", f"{work}-older")}
        alternate(cases, runs, say, inputs)
    finally:
        shop.remove("memory", "stream", "older")
    return Group("before", f"Beside the older tools: {size_text(size)} of random memory, all "
                 "private", cases)
