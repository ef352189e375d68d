"""Good files to begin with, and where their fields are."""

import json
import lzma
import subprocess


class Walk:
    """Where records and fields of a QEMU stream lie, as svsm-mig-inspect reports them."""

    def __init__(self, data, tools, path):
        self.data = data
        self.places = [(0, 4), (4, 4), 8, (9, 4)]
        shown = subprocess.run([tools / "svsm-mig-inspect", path, "--json", "--sections", "-v", "-q"],
                               capture_output=True)
        offsets = []
        if shown.returncode == 0:
            collect_offsets(json.loads(shown.stdout), offsets)
        for at in offsets:
            if at < len(data):
                # A record: type and id; of a start or full the name, instance and version; the body.
                self.places += [at, (at + 1, 4)]
                body = at + 5
                if data[at] in (1, 4) and body < len(data):
                    body += 1 + data[body] + 8
                    self.places += [(at + 5, 1), (body - 8, 4), (body - 4, 4)]
                self.places += [(body + 4 * i, 4) for i in range(12)]
                self.places += [(body + 8 * i, 8) for i in range(8)]
                self.places += ram_words(data, body)
        self.description = self.find_description()

    def find_description(self):
        """Where the text of the VM description begins, or nothing."""
        at = self.data.rfind(b'{"configuration"')
        at = self.data.rfind(b'{"page_size"') if at < 0 else at
        if at < 5 or self.data[at - 5] != 6:
            return None
        if int.from_bytes(self.data[at - 4:at], "big") != len(self.data) - at:
            return None
        return at


def ram_words(data, at, limit=256):
    """The words of a body of QEMU's `ram` section and what follows each, as long as they look so."""
    found = []
    while at + 8 <= len(data) and len(found) < limit:
        word = int.from_bytes(data[at:at + 8], "big")
        flags, start = word & 0xFFF, at
        at += 8
        if flags == 0x10:
            found.append((start, 8))
            break
        if flags & ~0x20 in (0x2, 0x8, 0x40, 0x100) and not flags & 0x20:
            if at >= len(data):
                break
            found.append((at, 1))
            at += 1 + data[at]
        kind = flags & ~0x20
        if kind == 0x4:
            found += [(start, 8), (at, 1)]
            left = word & ~0xFFF
            while left > 0 and at < len(data):
                at += 1 + data[at]
                found.append((at, 8))
                left -= max(int.from_bytes(data[at:at + 8], "big"), 1)
                at += 8
            continue
        if kind == 0x2:
            at += 1
        elif kind == 0x8:
            at += 4096
        elif kind == 0x40:
            found += [(at, 1), (at + 1, 2)]
            at += 3 + int.from_bytes(data[at + 1:at + 3], "big")
        elif kind == 0x100:
            found.append((at, 4))
            at += 4 + int.from_bytes(data[at:at + 4], "big")
        else:
            break
        found.append((start, 8))
    return found


def collect_offsets(value, found):
    """All numbers that JSON calls an offset."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if key == "offset" and isinstance(inside, (str, int)):
                found.append(int(inside, 16) if isinstance(inside, str) else inside)
            else:
                collect_offsets(inside, found)
    elif isinstance(value, list):
        for inside in value:
            collect_offsets(inside, found)


def unpacked(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def real_streams(fixtures, limit):
    """Streams that QEMU and libvirt wrote, cut to what a fuzzer can run often: name and bytes."""
    for case in sorted((fixtures / "qemu").iterdir()):
        for name in ("stream.xz", "main.xz"):
            if (case / name).is_file():
                data = unpacked(case / name)
                if len(data) <= limit:
                    yield case.name, data
