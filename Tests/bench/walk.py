"""Inspecting a stream, beside QEMU's own walker of streams."""

import child
from rounds import Case, Group, alternate
from workshop import size_text


def measure(shop, size, runs, script, say):
    """The walker takes minutes for gigabytes: it runs once."""
    say(f"making a stream of {size_text(size)}")
    memory = shop.sparse_memory("memory", size)
    stream = shop.path("stream")
    try:
        # Zero pages are encrypted like any other: the stream has all of them.
        child.run(shop.save(memory, "all", stream, 2))
        cases = {"walker": Case("analyze-migration.py -d state", lambda: child.measure(
                     ["python3", script, "-f", stream, "-d", "state"])),
                 "inspect": Case("inspect", lambda: child.measure(shop.inspect(stream)))}
        alternate({"inspect": cases["inspect"]}, runs, say)
        alternate({"walker": cases["walker"]}, 1, say, warm_up=False)
    finally:
        shop.remove("memory", "stream")
    return Group("inspect", f"Inspect the stream of {size_text(size)} of private memory", cases,
                 {"walker": "/ walker"}, ["The walker ran once."])
