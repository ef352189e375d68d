"""What `openssl speed` says one or more processes can encrypt, decrypt and hash."""

import re
import tempfile

import child

# By the kind of work: the words of `openssl speed`, and how a table names it.
WORDS = {"encrypt": ("-evp", "aes-256-gcm", "-bytes", "4096"),
         "decrypt": ("-decrypt", "-evp", "aes-256-gcm", "-bytes", "4096"),
         "hash": ("-evp", "sha256", "-bytes", "262144")}
NAMES = {"encrypt": "AES-256-GCM, encrypt", "decrypt": "AES-256-GCM, decrypt", "hash": "SHA-256"}


def measure(what, jobs, seconds, count):
    """The time that `count` bytes would take at the speed of all processes together. `-elapsed`: by
    the clock on the wall, as all else here is measured."""
    command = ["openssl", "speed", "-elapsed", "-mr", "-seconds", seconds, *what]
    if jobs > 1:
        command[2:2] = ["-multi", jobs]
    with tempfile.TemporaryFile() as results:
        measured = child.measure(command, stdout=results)
        results.seek(0)
        said = results.read().decode(errors="replace")
    # The last such line is the sum of all processes.
    rates = re.findall(r"^\+F:\d+:[^:]+:([0-9.]+)$", said, re.MULTILINE)
    if not rates or float(rates[-1]) <= 0:
        raise child.Failed(f"openssl speed says no rate: {said[-200:]}")
    return child.Measured(count / float(rates[-1]), others=measured.others)
