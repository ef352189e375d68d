#!/usr/bin/env python3
"""Makes the golden streams of the dialects of confidential guests.

Written from what the forks of QEMU write, as Formats/dialects.md cites it, and from nothing of the Swift
code: what a stream holds is counted here too. The same files come out of every run.

    Fixtures/dialects/generate.py          # writes NAME/stream.xz and NAME/case.json

case.json: `confidential` is what svsm-mig-inspect must show; `checked` lists stretches of bytes, each with
the masks that a reader must find when one byte is XORed with them; `unchecked` says why others cannot be.
inspect.json is no output of this: it is what `svsm-mig-inspect --json` printed, once it was read and found right.
"""
import hashlib
import json
import lzma
import pathlib
import struct

PAGE = 4096
EVERY = [0x01, 0x80, 0xFF]
FOLDER = pathlib.Path(__file__).resolve().parent


def be16(value): return struct.pack(">H", value)
def be32(value): return struct.pack(">I", value)
def be64(value): return struct.pack(">Q", value)
def le16(value): return struct.pack("<H", value)
def le32(value): return struct.pack("<I", value)
def le64(value): return struct.pack("<Q", value)


def noise(label, size):
    """Bytes that look random, pack well, and are the same in every run."""
    seed = hashlib.sha256(label.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Stream:
    """A QEMU stream, with a note of what its dialect's bytes are."""

    def __init__(self, machine, blocks):
        self.bytes = bytearray()
        self.checked, self.unchecked = [], []
        self.blocks, self.last = blocks, None
        self.put(b"QEVM" + be32(3))
        self.put(b"\x07" + be32(len(machine)) + machine.encode())

    def put(self, data):
        self.bytes += data

    def check(self, data, masks=EVERY):
        """Bytes of which a change must be found."""
        start = len(self.bytes)
        self.put(data)
        self.checked.append([start, len(self.bytes), masks])

    def free(self, data, why):
        """Bytes of which a change cannot be found."""
        start = len(self.bytes)
        self.put(data)
        self.unchecked.append([start, len(self.bytes), why])

    # The container

    def begin_ram(self, kind):
        if kind == 1:
            self.put(b"\x01" + be32(2) + b"\x03ram" + be32(0) + be32(4))
            self.put(be64(sum(size for _, size in self.blocks) | 0x04))
            for name, size in self.blocks:
                self.put(bytes([len(name)]) + name.encode() + be64(size))
        else:
            self.put(bytes([kind]) + be32(2))

    def end_ram(self, flush=False):
        if flush:
            self.put(be64(0x200))
        self.put(be64(0x10) + b"\x7e" + be32(2))

    def header(self, flags, block, offset):
        """What stands in front of each record of a page: the word, and the block's name where it changes."""
        same = block == self.last
        self.last = block
        data = be64(offset | flags | (0x20 if same else 0))
        if not same:
            data += bytes([len(block)]) + block.encode()
        return data

    def zero(self, block, page):
        self.put(self.header(0x02, block, page * PAGE) + b"\x00")

    def plain(self, block, page):
        self.put(self.header(0x08, block, page * PAGE) + noise(f"plain {block} {page}", PAGE))

    def finish(self, cpus):
        fields = [{"name": "registers", "type": "buffer", "size": 16}]
        devices = []
        for cpu in range(cpus):
            self.put(b"\x04" + be32(10 + cpu) + b"\x03cpu" + be32(cpu) + be32(12))
            self.put(noise(f"cpu {cpu}", 16) + b"\x7e" + be32(10 + cpu))
            devices.append({"name": "cpu", "instance_id": cpu, "vmsd_name": "cpu", "version": 12,
                            "fields": fields})
        self.put(b"\x00")
        text = json.dumps({"page_size": PAGE, "devices": devices}).encode()
        self.put(b"\x06" + be32(len(text)) + text)


# SEV and its relatives


class SEVStream(Stream):
    """AMDESE/qemu 67935c3f and openeuler-mirror/qemu 84b004d8: migration/ram.c, target/i386/sev.c."""

    def __init__(self, machine, blocks, flag, policy):
        super().__init__(machine, blocks)
        self.flag, self.policy, self.session = flag, policy, None
        self.came, self.records, self.batches = set(), 0, 0
        self.regions, self.cpus = [], []

    def word(self, block, offset):
        self.check(self.header(self.flag, block, offset))

    def begin(self):
        """policy, PDH certificate, session: in front of the first page."""
        if self.session is not None:
            return
        self.session = len(self.bytes)
        self.free(be32(self.policy), "a policy may be any, but for what forbids sending")
        self.check(be32(2084))
        self.free(noise("certificate", 2084), "a certificate of the firmware's")
        self.check(be32(128))
        self.free(noise("session", 128), "wrapped keys")

    def packet(self, label):
        self.check(be32(52))
        self.check(le32(0))
        self.free(noise("iv " + label, 16), "an initialisation vector")
        self.free(noise("mac " + label, 32), "a MAC")
        self.check(be32(PAGE))
        self.free(noise("page " + label, PAGE), "ciphertext")

    def note(self, block, page):
        self.records += 1
        self.came.add((block, page))

    def page(self, block, page):
        self.word(block, page * PAGE)
        self.check(be32(1))
        self.begin()
        self.packet(f"{block} {page}")
        self.note(block, page)

    def batch(self, block, pages):
        """openeuler: ram_save_encrypted_pages_in_batch, csv_send_update_data_batch."""
        for index, page in enumerate(pages):
            again = (block, page) in self.came
            data = self.header(self.flag, block, page * PAGE)
            if again:
                self.free(data, "a page that comes again may be another that did")
            else:
                self.check(data)
            if index + 1 == len(pages):
                self.check(be32(5))
            else:
                # Lowest bit: the batch would be two.
                self.check(be32(4)[:3])
                self.check(be32(4)[3:], [0x80, 0xFF])
            if index == 0:
                self.begin()
            self.packet(f"{block} {page}")
            self.note(block, page)
        self.batches += 1

    def shared(self, regions):
        self.word(self.last, 0)
        self.check(be32(2))
        for first, end in regions:
            self.check(be32(1))
            self.free(be32(first) + be32(end), "where the guest shares memory")
        self.check(be32(2))
        self.regions = regions

    def cpu_states(self, count):
        self.word(self.last, 0)
        self.check(be32(6))
        for cpu in range(count):
            self.check(be32(1))
            self.cpus.append({"index": cpu, "size": PAGE, "offset": len(self.bytes)})
            self.check(be32(4) + le32(cpu))
            self.packet(f"vmsa {cpu}")
        if count:
            self.check(be32(2))

    def facts(self, dialect, bits):
        distinct = len(self.came)
        return {
            "dialect": dialect,
            "session": {"policy": f"0x{self.policy:08x}", "policyBits": bits, "certificateSize": 2084,
                        "sessionSize": 128, "offset": self.session},
            "bundles": 0,
            "pages": {"records": self.records, "distinct": distinct, "again": self.records - distinct,
                      "batches": self.batches, "shared": 0, "cancelled": 0, "skipped": 0},
            "sharedRegions": {"count": len(self.regions),
                              "pages": sum(end - first for first, end in self.regions),
                              "list": [{"gpa": hex(first * PAGE), "end": hex(end * PAGE)}
                                       for first, end in self.regions]},
            "epochs": [], "epochsOmitted": 0, "cpuStates": self.cpus,
        }


BLOCKS = [("pc.ram", 8 * PAGE), ("pc.rom", PAGE)]
REGIONS = [(6, 7), (0x100000, 0x100040)]


def single_pages(machine, flag, dialect):
    stream = SEVStream(machine, BLOCKS, flag, 0x00010001)
    stream.begin_ram(1)
    stream.end_ram()
    stream.begin_ram(2)
    for page in range(6):
        stream.page("pc.ram", page)
    stream.zero("pc.ram", 6)
    stream.plain("pc.rom", 0)
    stream.page("pc.ram", 7)
    stream.end_ram()
    stream.begin_ram(3)
    stream.shared(REGIONS)
    stream.end_ram()
    stream.finish(2)
    return stream, stream.facts(dialect, ["no-debug"])


def amd_sev():
    return single_pages("pc-q35-6.1", 0x200, "amd-sev")


def openeuler_sev():
    return single_pages("pc-q35-8.2", 0x400, "openeuler-sev")


def batches(policy, dialect, bits, cpus):
    stream = SEVStream("pc-q35-8.2", BLOCKS, 0x400, policy)
    stream.begin_ram(1)
    stream.end_ram()
    stream.begin_ram(2)
    stream.plain("pc.rom", 0)
    stream.batch("pc.ram", [0, 1, 2, 3, 4, 5])
    stream.zero("pc.ram", 6)
    stream.batch("pc.ram", [7])
    stream.end_ram()
    stream.begin_ram(2)
    stream.batch("pc.ram", [2, 4])
    stream.end_ram()
    stream.begin_ram(3)
    stream.shared(REGIONS)
    stream.cpu_states(cpus)
    stream.end_ram()
    stream.finish(2)
    return stream, stream.facts(dialect, bits)


def hygon_csv():
    return batches(0x00010001, "hygon-csv", ["no-debug"], 0)


def hygon_csv2():
    return batches(0x00010005, "hygon-csv2", ["no-debug", "encrypted-state"], 2)


def hygon_csv3():
    """Avenger-285714/qemu-deepin 35ba8fdf: ram_save_csv3_pages, csv3_send_encrypt_data."""
    stream = SEVStream("pc-q35-8.2", BLOCKS, 0x400, 0x00010045)
    shared = 0

    def pages(numbers, sharing=()):
        nonlocal shared
        stream.word("pc.ram", 0)
        stream.check(be32(1))
        stream.begin()
        stream.check(be32(100))
        stream.free(noise("header", 100), "a header whose form is not public")
        stream.check(be32(8 * len(numbers)))
        for number in numbers:
            entry = le64(number << 12 | (number in sharing))
            # Bit 0 says whether the page is shared; bit 12 and all above are its number.
            stream.check(entry[:1], [0x80, 0xFF])
            stream.check(entry[1:2], [0x01, 0xFF])
            stream.free(entry[2:], "which page it is")
            shared += number in sharing
            stream.note("pc.ram", number)
        stream.check(be32(len(numbers) * PAGE))
        stream.free(noise(f"pages {numbers}", len(numbers) * PAGE), "ciphertext")
        stream.batches += 1

    stream.begin_ram(1)
    stream.end_ram()
    stream.begin_ram(2)
    stream.plain("pc.rom", 0)
    pages([0, 1, 2, 3, 4, 5, 6, 7], sharing=(6,))
    stream.end_ram()
    stream.begin_ram(2)
    pages([2, 6], sharing=(6,))
    stream.end_ram()
    stream.begin_ram(3)
    stream.shared(REGIONS)
    stream.word("pc.ram", 0)
    stream.check(be32(6))
    stream.cpus.append({"index": None, "size": 2 * PAGE, "offset": len(stream.bytes)})
    stream.check(be32(80))
    stream.free(noise("context header", 80), "a header whose form is not public")
    stream.check(be32(2 * PAGE))
    stream.free(noise("context", 2 * PAGE), "ciphertext")
    stream.end_ram()
    stream.finish(2)
    facts = stream.facts("hygon-csv3", ["no-debug", "encrypted-state", "csv3"])
    facts["pages"]["shared"] = shared
    return stream, facts


# TDX


class TDXStream(Stream):
    """intel/qemu-td-partitioning fa1962bb: migration/{cgs,cgs-tdx,ram,savevm}.c; intel/tdx-module 72d8cffb."""

    IMMUTABLE, STATE, VCPU, MEMORY, TOKEN = 0, 1, 2, 16, 32

    def __init__(self, machine, blocks):
        super().__init__(machine, blocks)
        self.counter = self.iv = self.epoch = self.total = 0
        self.present, self.epochs, self.cpus = set(), [], []
        self.records = self.again = self.cancelled = 0

    def bundle(self, kind, pages, specific, flags=0, is_last=False):
        """TdxMigHdr, MBMD, pages; specific: its bytes, and whether each is checked."""
        if kind == self.TOKEN:
            self.counter = 0
        self.iv += 1
        self.total += 1
        self.check(le16(flags) + le16(pages))
        self.check(le16(48) + le16(0) + le16(0) + bytes([kind, 0]))
        if self.epoch == 0xFFFFFFFF and kind == self.MEMORY:
            self.free(le32(self.counter), "behind the start token bundles come in any order")
        else:
            self.check(le32(self.counter))
        self.check(le32(self.epoch))
        if is_last:
            self.free(le64(self.iv), "nothing follows that would show a counter which ran ahead")
        else:
            self.check(le64(self.iv))
        if kind == self.TOKEN:
            specific = [(le64(self.total), True)]
        for data, is_checked in specific:
            if is_checked:
                self.check(data)
            else:
                self.free(data, "numbers that nothing else in the stream tells")
        self.free(noise(f"mac {self.iv}", 16), "a MAC")
        self.free(noise(f"bundle {self.iv}", pages * PAGE), "ciphertext")
        self.counter += 1

    def start(self):
        self.check(b"\x09")
        self.bundle(self.IMMUTABLE, 4,
                    [(le16(1), False), (le16(0), True), (b"\x01", False), (bytes(3), True)])

    def token(self):
        self.check(be64(0x800))
        offset = len(self.bytes)
        self.epoch += 1
        self.bundle(self.TOKEN, 0, [])
        self.epochs.append({"epoch": self.epoch, "start": False, "pages": 0, "totalBundles": self.total,
                            "offset": offset})

    def page(self, block, page, gpa):
        self.check(self.header(0x400, block, page * PAGE))
        self.memory(gpa, 3 if gpa in self.present else 1)
        self.again += gpa in self.present
        self.present.add(gpa)

    def cancel(self, block, page, gpa):
        """ram_prepare_postcopy. The flag is the lowest bit of a page's number: its place cannot be told."""
        word = self.header(0x1000, block, page * PAGE)
        self.check(word[:6])
        self.free(word[6:7], "the place of a page that is withdrawn")
        self.check(word[7:])
        self.memory(gpa, 2)
        self.cancelled += 1
        self.present.remove(gpa)

    def memory(self, gpa, operation):
        self.bundle(self.MEMORY, 1, [(le16(1) + bytes(6), True)], is_last=self.epoch == 0xFFFFFFFF)
        entry = le64(gpa | operation << 52)
        # Bit 7 and bits 8, 9 say what a nested guest sees of the page; bit 2 whether it is accepted.
        self.check(entry[:1], [0x01, 0xFF])
        self.check(entry[1:2], [0x80, 0xFF])
        self.check(entry[2:])
        self.free(noise(f"page mac {self.iv}", 16), "a MAC")
        self.records += 1
        self.epochs[-1]["pages"] += 1

    def end(self, cpus, is_last=True):
        self.check(b"\x0a")
        self.bundle(self.STATE, 2, [(bytes(8), True)], flags=1)
        for cpu in range(cpus):
            offset = len(self.bytes)
            self.bundle(self.VCPU, 5, [(le16(cpu) + bytes(6), True)], flags=1)
            self.cpus.append({"index": cpu, "size": 5 * PAGE, "offset": offset})
        offset = len(self.bytes)
        self.epoch = 0xFFFFFFFF
        self.bundle(self.TOKEN, 0, [], is_last=is_last)
        self.epochs.append({"epoch": self.epoch, "start": True, "pages": 0, "totalBundles": self.total,
                            "offset": offset})
        self.check(b"\x7e")

    def facts(self):
        return {
            "dialect": "intel-tdx", "session": None, "bundles": self.total,
            "pages": {"records": self.records, "distinct": len(self.present), "again": self.again,
                      "batches": 0, "shared": 0, "cancelled": self.cancelled,
                      "skipped": 0},
            "sharedRegions": {"count": 0, "pages": 0, "list": []},
            "epochs": self.epochs, "epochsOmitted": 0, "cpuStates": self.cpus,
        }


def gpa(page):
    """The last two pages of the block lie above 4 GiB."""
    return page * PAGE if page < 6 else 0x100000000 + (page - 6) * PAGE


def intel_tdx_postcopy():
    """A page is withdrawn, and comes when the guest may run already."""
    stream = TDXStream("pc-q35-8.1", BLOCKS)
    stream.start()
    stream.begin_ram(1)
    stream.end_ram()
    stream.begin_ram(2)
    stream.token()
    for page in (0, 1, 2, 3, 4, 5, 6, 7):
        stream.page("pc.ram", page, gpa(page))
    stream.plain("pc.rom", 0)
    stream.end_ram()
    stream.begin_ram(2)
    stream.token()
    stream.cancel("pc.ram", 2, gpa(2))
    stream.end_ram()
    stream.end(2, is_last=False)
    stream.begin_ram(2)
    stream.page("pc.ram", 2, gpa(2))
    stream.end_ram()
    stream.begin_ram(3)
    stream.end_ram()
    stream.finish(2)
    return stream, stream.facts()


def intel_tdx():
    stream = TDXStream("pc-q35-8.1", BLOCKS)
    stream.start()
    stream.begin_ram(1)
    stream.end_ram(flush=True)
    stream.begin_ram(2)
    stream.token()
    for page in (0, 1, 2, 3, 5, 6, 7):
        stream.page("pc.ram", page, gpa(page))
    stream.zero("pc.ram", 4)
    stream.plain("pc.rom", 0)
    stream.end_ram(flush=True)
    stream.begin_ram(2)
    stream.token()
    for page in (2, 7):
        stream.page("pc.ram", page, gpa(page))
    stream.end_ram(flush=True)
    stream.begin_ram(3)
    stream.token()
    stream.page("pc.ram", 2, gpa(2))
    stream.end_ram(flush=True)
    stream.end(2)
    stream.finish(2)
    return stream, stream.facts()


def main():
    for make in (amd_sev, openeuler_sev, hygon_csv, hygon_csv2, hygon_csv3, intel_tdx, intel_tdx_postcopy):
        stream, facts = make()
        folder = FOLDER / make.__name__.replace("_", "-")
        folder.mkdir(exist_ok=True)
        (folder / "stream.xz").write_bytes(lzma.compress(bytes(stream.bytes), preset=6))
        case = {"size": len(stream.bytes), "sha256": hashlib.sha256(stream.bytes).hexdigest(),
                "confidential": facts, "checked": stream.checked, "unchecked": stream.unchecked}
        lines = [f'"{key}": {json.dumps(value)}' for key, value in case.items()]
        (folder / "case.json").write_text("{\n  " + ",\n  ".join(lines) + "\n}\n")


main()
