"""What is fuzzed: for each kind of input, how a bad one is made and what our tools are asked about it."""

import lzma
import pathlib
import shutil

import mutate
import seeds

# Places and values for recipes (Formats/vectors.md): records of an SNP stream and their fields.
RECORDS = {
    "page[?]": ["sequence", "gpa", "epoch", "operation", "rmp_page_size", "validated", "reserved",
                "vmpl_permissions", "length", "tag", "content"],
    "token[?]": ["epoch", "flags", "records", "first_sequence", "migrated", "migrated_again",
                 "cancelled", "transcript", "reserved", "tag"],
    "vcpu[?]": ["kind", "index", "sequence", "length", "reserved_2", "tag", "apic_id", "vmpl",
                "vmsa.SEV_FEATURES", "vmsa.EFER", "vmsa.VMPL", "vmsa.RIP", "vmsa.CR3", "vmsa.X87_FTW"],
    "service[0]": ["kind", "index", "sequence", "length", "tag", "plaintext.kind", "flags", "version",
                   "generation", "plaintext.length", "blob"],
    "secrets": ["sequence", "length", "plaintext", "gpa", "facts.svsm_base", "facts.svsm_size",
                "facts.svsm_calling_area", "facts.ap_jump_table", "facts.svsm_max_version",
                "facts.guest_vmpl", "facts.vmsa_tweak_bitmap"],
    "states[0]": ["index", "sequence", "length", "plaintext", "run[?].gpa", "run[?].pages",
                  "run[?].state", "run[?].size", "run[?].permissions", "run[?].reserved"],
    "commit": ["version", "epochs", "page_records", "private_pages", "final_records", "vcpus",
               "services", "secrets_pages", "map_parts", "transcript", "tag"],
}
CLEAR = {
    "session": ["version", "kem", "flags", "offer_digest", "encapsulated_key", "wrapped_key",
                "source_key", "report_length", "certificates_length", "report", "certificates"],
    "map": ["count", "reserved", "entry[?].block", "entry[?].offset", "entry[?].gpa", "entry[?].size"],
    "machine": ["length", "flags", "count", "configuration_length", "description_length",
                "entry[?].type", "entry[?].place", "entry[?].instance", "entry[?].length"],
    "seal": ["magic", "version", "hash", "flags", "chunk_size", "evidence_length", "covered_length",
             "chunk_count", "root", "trailer_length", "trailer_hash", "signer", "signature"],
    "ram.page[?]": ["word", "name"], "description": ["length", "text"], "configuration": ["length"],
}
SECTIONS = ["session", "ram.start", "map", "pages.start", "epochs.start", "page[?]", "ram.part[?]",
            "token[?]", "ram.end", "pages.end", "epochs.end", "machine", "device[?]", "vcpu[?]",
            "service[?]", "secrets", "states[?]", "commit", "eof", "seal", "description"]


def value(rng):
    return rng.choice(["zero", "ones", "random", f"={mutate.extreme(rng, 8)}",
                       f"={mutate.extreme(rng, 4)}", f"={rng.choice([0, 1, 2, 3, 4, 5, 255])}",
                       f"hex:{mutate.extreme(rng, 8):016x}", "from page[0].gpa"])


def place(rng, tables):
    table = rng.choice(tables)
    record = rng.choice(list(table))
    return f"{record}.{rng.choice(table[record])}"


def recipe(rng):
    """A recipe: a host that edits, moves and mends, or a source that lies."""
    lines, kind = [], rng.random()
    if kind < 0.5:
        for _ in range(rng.choice([1, 1, 2])):
            lines.append(rng.choice([
                f"set {place(rng, [RECORDS, CLEAR])} {value(rng)}",
                f"flip {place(rng, [RECORDS, CLEAR])} mask=?",
                f"add {place(rng, [RECORDS, CLEAR])} {rng.choice([-4096, -1, 1, 4096])}",
                f"cut {rng.choice(SECTIONS)}", f"swap {rng.choice(SECTIONS)} {rng.choice(SECTIONS)}",
                f"copy {rng.choice(SECTIONS)} after {rng.choice(SECTIONS)}",
                f"move {rng.choice(SECTIONS)} before {rng.choice(SECTIONS)}",
                f"truncate at {rng.choice(SECTIONS)}+?", f"append {value(rng)}"]))
        end = rng.choice(["", "", "repair", "repair resign", "repair resign session", "repair unsigned",
                          "rogue", "rogue one-way"])
        lines.append(end)
    else:
        for _ in range(rng.choice([1, 1, 2, 3])):
            lines.append(f"forge {place(rng, [RECORDS])} {value(rng)}")
    return "\n".join(line for line in lines if line) + "\n"


class Target:
    """Inputs of one kind. `make` writes one into `folder` and gives the calls to try on it, each a list
    of words; `check` says what is wrong with what they said beside what holds for every call."""

    name = ""

    def __init__(self, tools, fixtures, scratch):
        self.tools, self.fixtures, self.scratch = tools, fixtures, scratch

    def tool(self, name, *words):
        return [str(self.tools / f"svsm-mig-{name}"), *(str(word) for word in words)]

    def write(self, folder, name, data):
        path = folder / name
        path.write_bytes(data)
        return path

    def check(self, folder, results):
        return None


class SNPStream(Target):
    """SNP streams: bytes changed where fields are, or recipes followed; load and verify must agree."""

    name = "snp"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        golden = self.fixtures / "golden"
        self.instance, self.root = golden / "destination.svsm", golden / "root.pem"
        self.streams = [path for path in sorted(golden.glob("*/stream.mig"))
                        if path.stat().st_size < 1 << 20]
        self.walks = {path: seeds.Walk(path.read_bytes(), self.tools, path) for path in self.streams}

    def make(self, rng, folder):
        source = rng.choice(self.streams)
        self.original = self.walks[source].data
        stream = folder / "in"
        calls = []
        self.first = 0
        if rng.random() < 0.35:
            walk = self.walks[source]
            if walk.description and rng.random() < 0.2:
                text = mutate.json_text(rng, walk.data[walk.description:])
                data = walk.data[:walk.description - 4] + len(text).to_bytes(4, "big") + text
            else:
                data = mutate.havoc(rng, walk.data, walk.places)
            stream.write_bytes(data)
        else:
            self.write(folder, "recipe", recipe(rng).encode())
            calls.append(self.tool("attack", "--recipe", folder / "recipe", source, "-o", stream, "-q",
                                   "--instance", self.instance, "--trust", self.root,
                                   "--seed", f"{rng.getrandbits(16):04x}"))
        self.first = len(calls)
        shutil.copy(self.instance, folder / "keys")
        keys = ["--instance", folder / "keys", "--trust", self.root]
        return calls + [
            self.tool("verify", stream, *keys),
            self.tool("load", stream, *keys, "-o", folder / "out", "--one-way", "--accept-seeded"),
            self.tool("verify", stream), self.tool("inspect", stream, "--sections", "--pages"),
            self.tool("inspect", stream, "--json", *keys),
            self.tool("diff", stream, source, *rng.choice([[], ["--instance", self.instance]])),
        ]

    def check(self, folder, results):
        if self.first and results[0].status != 0:
            return None
        stream = folder / "in"
        verify, load = results[self.first], results[self.first + 1]
        if verify.status != load.status:
            return f"verify says {verify.status}, load {load.status}"
        if verify.code() != load.code():
            return f"verify says {verify.code()}, load {load.code()}"
        if load.status == 0 and not self.first and stream.read_bytes() != self.original:
            return "a stream that a host changed loads"
        if load.status != 0 and (folder / "out").exists():
            return "a guest stands though the load was refused"
        return None


class QEMUStream(Target):
    """Plain QEMU streams and libvirt images."""

    name = "qemu"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.walks = []
        for name, data in seeds.real_streams(self.fixtures, 6 << 20):
            path = self.scratch / f"seed-{name}"
            path.write_bytes(data)
            self.walks.append((name, seeds.Walk(data, self.tools, path)))
        image = seeds.unpacked(self.fixtures / "qemu/libvirt72-pc-raw/image.xz")
        path = self.scratch / "seed-libvirt"
        path.write_bytes(image)
        walk = seeds.Walk(image, self.tools, path)
        walk.places += [(16 + 4 * i, 4) for i in range(18)] * 8
        self.walks.append(("libvirt", walk))

    def mutant(self, rng):
        walk = rng.choice(self.walks)[1]
        data = walk.data
        if walk.description and rng.random() < 0.3:
            text = mutate.json_text(rng, data[walk.description:])
            data = data[:walk.description - 4] + len(text).to_bytes(4, "big") + text
            return data if rng.random() < 0.7 else mutate.havoc(rng, data, walk.places)
        return mutate.havoc(rng, data, walk.places)

    def make(self, rng, folder):
        stream = self.write(folder, "in", self.mutant(rng))
        calls = [
            self.tool("inspect", stream, "--devices", "--sections", "--pages"),
            self.tool("inspect", stream, "--json", "--devices", "--ram-hashes", "--allow-incomplete"),
            self.tool("verify", stream), self.tool("seal", stream, "-o", folder / "sealed"),
            self.tool("diff", stream, self.scratch / f"seed-{rng.choice(self.walks)[0]}", "--json"),
            self.tool("guest", "import", stream, "-o", folder / "out", "--format", "qemu",
                      "--private", "all"),
            self.tool("guest", "export", stream, "-o", folder / "blocks", "--all-blocks",
                      "--allow-incomplete"),
            self.tool("guest", "export", stream, "-o", folder / "core", "--format", "elf",
                      "--allow-incomplete"),
        ]
        return rng.sample(calls, 3)


class Image(Target):
    """qcow2 images with snapshots, and packed streams."""

    name = "image"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.images = []
        for path in sorted((self.fixtures / "qcow2").glob("*.xz")):
            data = seeds.unpacked(path)
            if data[:4] != b"QFI\xfb" or len(data) > 4 << 20:
                continue
            # The header, the snapshot table, and the tables of the first snapshot.
            table = int.from_bytes(data[64:72], "big")
            first = int.from_bytes(data[table:table + 8], "big")
            places = [(4 * i, 4) for i in range(28)] * 4
            places += [(table + 4 * i, 4) for i in range(32)] * 4
            places += [(first + 8 * i, 8) for i in range(8)]
            for at in range(first, min(first + 64, len(data) - 8), 8):
                second = int.from_bytes(data[at:at + 8], "big") & 0x00FFFFFFFFFFFE00
                if 0 < second < len(data):
                    places += [(second + 8 * i, 8) for i in range(64)]
            self.images.append((data, [place for place in places if sum(place) <= len(data)]))
        self.packed = [path.read_bytes() for path in sorted((self.fixtures / "packed").glob("*.*"))
                       if path.suffix in (".lz4", ".bz2", ".lzo")]

    def make(self, rng, folder):
        words = []
        if rng.random() < 0.6:
            data, places = rng.choice(self.images)
            words = ["--snapshot", rng.choice(["state", "state", "1", "2", "4"])]
        else:
            data = rng.choice(self.packed)
            places = [(4 * i, 4) for i in range(16)]
        stream = self.write(folder, "in", mutate.havoc(rng, data, places))
        calls = [
            self.tool("inspect", stream, *words, "--ram-hashes", "--allow-incomplete"),
            self.tool("verify", stream, *words),
            self.tool("seal", stream, *words, "-o", folder / "sealed"),
        ]
        if words:
            calls.append(self.tool("inspect", stream, "--snapshot", "list", "--json"))
        return rng.sample(calls, 2)


class Channel(Target):
    """Multifd channels beside their main stream."""

    name = "channel"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cases = []
        for case in sorted((self.fixtures / "qemu").iterdir()):
            parts = sorted(case.glob("multifd-*.xz"))
            if parts and (case / "main.xz").is_file():
                main = self.scratch / f"{case.name}-main"
                main.write_bytes(seeds.unpacked(case / "main.xz"))
                paths = []
                for part in parts:
                    path = self.scratch / f"{case.name}-{part.stem}"
                    path.write_bytes(seeds.unpacked(part))
                    paths.append(path)
                self.cases.append((main, paths))

    def make(self, rng, folder):
        main, channels = rng.choice(self.cases)
        at = rng.randrange(len(channels))
        data = channels[at].read_bytes()
        # Packets begin with their magic; the head of each is where the fields are.
        places, found = [], data.find(b"\x11\x22\x33\x44")
        while found >= 0 and len(places) < 4000:
            places += [(found + 4 * i, 4) for i in range(14)] + [(found + 8 * i, 8) for i in range(12)]
            found = data.find(b"\x11\x22\x33\x44", found + 4)
        changed = self.write(folder, "channel", mutate.havoc(rng, data, places))
        words = []
        for index, path in enumerate(channels):
            words += ["--channel", changed if index == at else path]
        return [self.tool("verify", main, *words),
                self.tool("inspect", main, *words, "--ram-hashes", "--allow-incomplete")]


class Report(Target):
    """Attestation reports, certificates, certificate tables and policies."""

    name = "attest"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        folder = self.fixtures / "attestation"
        self.reports = sorted(folder.glob("*.report.bin"))
        self.certificates = sorted(folder.glob("*.der")) + sorted((folder / "ca").glob("*.der")) + \
            sorted((self.fixtures / "model-platform").rglob("*.der"))
        self.bundles = sorted((folder / "ca").glob("*.pem"))
        self.tables = sorted(folder.glob("*.certtable.bin"))
        self.policies = sorted((self.fixtures / "policies").glob("*.json"))

    def make(self, rng, folder):
        report = rng.choice(self.reports)
        leaf = next(iter(report.parent.glob(report.name.split(".")[0] + ".v?ek.der")), None)
        words, kind = [], rng.random()
        certificate = leaf or rng.choice(self.certificates)
        if kind < 0.3:
            data = report.read_bytes()
            if rng.random() < 0.2:
                data = rng.choice([b"HCLA" + bytes(28), (1184).to_bytes(32, "little"), b""]) + data + \
                    rng.choice([b"", bytes(2816), self.tables[0].read_bytes()])
            if rng.random() < 0.2:
                data = rng.choice([data.hex().encode(), b"0x" + data.hex().encode(),
                                   __import__("base64").b64encode(data)])
            report = self.write(folder, "report", mutate.havoc(
                rng, data, [(4 * i, 4) for i in range(296)], "little"))
        elif kind < 0.65:
            certificate = self.write(folder, "certificate", mutate.der(
                rng, rng.choice([certificate, rng.choice(self.certificates)]).read_bytes()))
        elif kind < 0.8:
            certificate = self.write(folder, "table", mutate.table(
                rng, rng.choice(self.tables).read_bytes()))
        elif kind < 0.9:
            text = rng.choice(self.bundles).read_bytes()
            certificate = self.write(folder, "bundle", mutate.havoc(rng, text))
        else:
            words = ["--policy", self.write(folder, "policy", mutate.json_text(
                rng, rng.choice(self.policies).read_bytes()))]
        extra = ["--cert", certificate] if certificate else []
        return [self.tool("attest", "verify", report, *extra, *words, "--at", "issue"),
                self.tool("attest", "show", report, "--json")]


class Party(Target):
    """Offers and instances, read by the tools that are handed them."""

    name = "party"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        golden = self.fixtures / "golden"
        self.offer, self.instance, self.root = (
            golden / "destination.offer", golden / "destination.svsm", golden / "root.pem")
        self.stream = golden / "tiny" / "stream.mig"
        self.guest = self.scratch / "party-guest"
        self.setup = [self.tool("guest", "create", "-o", self.guest, "--memory", "64K", "-q", "-f")]

    def make(self, rng, folder):
        if rng.random() < 0.5:
            offer = self.write(folder, "offer", mutate.havoc(
                rng, self.offer.read_bytes(), [(4 * i, 4) for i in range(32)] + [(128, 4), (130, 4)]))
            return [self.tool("save", self.guest, "-o", folder / "out", "--to", offer,
                              "--trust", self.root),
                    self.tool("attest", "verify", offer, "--trust", self.root),
                    self.tool("attack", "--name", "offer-migration-agent", offer, "-o", folder / "made")]
        changed = self.write(folder, "keys", mutate.havoc(
            rng, self.instance.read_bytes(), [(4 * i, 4) for i in range(120)]))
        calls = []
        if rng.random() < 0.8:
            self.write(folder, "recipe", b"checksum\n")
            calls.append(self.tool("attack", "--recipe", folder / "recipe", changed, "-o", changed, "-f"))
        return calls + [
            self.tool("verify", self.stream, "--instance", changed, "--trust", self.root),
            self.tool("load", self.stream, "--instance", changed, "--trust", self.root,
                      "-o", folder / "out", "--accept-seeded", "--one-way"),
            self.tool("attack", "--recipe", folder / "recipe", changed, "-o", folder / "made")]


class Bundle(Target):
    """Guests as folders: the manifest, page states, VMSAs, and sizes."""

    name = "bundle"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.guest = self.scratch / "bundle-guest"
        self.setup = [self.tool("guest", "create", "-o", self.guest, "--memory", "256K", "--vcpus", "2",
                                "--secrets-page", "0xd000", "-q", "-f")]

    def make(self, rng, folder):
        guest = folder / "guest"
        shutil.copytree(self.guest, guest)
        path = rng.choice([path for path in guest.iterdir() if not path.name.startswith("ram-")])
        data = path.read_bytes()
        if path.suffix == ".json":
            path.write_bytes(mutate.json_text(rng, data))
        else:
            path.write_bytes(mutate.havoc(rng, data, [(8 * i, 8) for i in range(min(len(data) // 8, 200))],
                                          rng.choice(["big", "little"])))
        golden = self.fixtures / "golden"
        return [self.tool("guest", "show", guest),
                self.tool("save", guest, "-o", folder / "out", "--to", golden / "destination.offer",
                          "--trust", golden / "root.pem"),
                self.tool("guest", "export", guest, "-o", folder / "core", "--format", "elf")]


class Dump(Target):
    """Dumps of device types, against each other and against a stream."""

    name = "dump"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        folder = self.fixtures / "target"
        self.dumps = [folder / "source.json", folder / "target.json"]
        self.stream = self.scratch / "dump-stream"
        packed = self.fixtures / "qemu/pc72-bios-reset/stream.xz"
        self.stream.write_bytes(lzma.decompress(packed.read_bytes()))
        real = lzma.decompress((folder / "qemu72.json.xz").read_bytes())
        self.real = self.scratch / "dump-real"
        self.real.write_bytes(real)

    def make(self, rng, folder):
        whole = rng.choice([*self.dumps, self.real])
        changed = self.write(folder, "dump", mutate.json_text(rng, whole.read_bytes()))
        return [self.tool("verify", self.stream, "--target", changed),
                self.tool("verify", "--source", whole, "--target", changed),
                self.tool("verify", "--source", changed, "--target", whole, "--json")]


class Text(Target):
    """Recipes and vectors as texts."""

    name = "text"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.vectors = sorted((self.fixtures / "vectors").glob("*.vector"))
        self.words = sorted({word for path in self.vectors for line in path.read_text().splitlines()
                             if line.startswith("  ") for word in line.split()})

    def change(self, rng, text):
        lines = text.splitlines(keepends=True)
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(len(lines))
            words = lines[at].split(" ")
            change = rng.random()
            if change < 0.5:
                words[rng.randrange(len(words))] = rng.choice(
                    self.words + [f"page[{mutate.extreme(rng, 8)}]", f"={mutate.extreme(rng, 8)}99",
                                  f"0x{mutate.extreme(rng, 8):x}", "count=" + str(mutate.extreme(rng, 8)),
                                  "?", "?+65535", "last", "+18446744073709551615", "-1"])
                lines[at] = " ".join(words)
            elif change < 0.7:
                lines.insert(at, rng.choice(lines))
            elif change < 0.8:
                lines[at] = lines[at].replace("\n", "\r\n")
            else:
                del lines[at]
            if not lines:
                lines = ["\n"]
        return "".join(lines)

    def make(self, rng, folder):
        vector = rng.choice(self.vectors)
        text = self.change(rng, vector.read_text())
        golden = self.fixtures / "golden"
        if rng.random() < 0.6 and "recipe:\n" in text:
            lines = "".join(line[2:] for line in text.split("recipe:\n", 1)[1].splitlines(keepends=True))
            self.write(folder, "recipe", lines.encode())
            source = rng.choice([golden / "tiny/stream.mig", golden / "rounds/stream.mig",
                                 golden / "destination.offer", golden / "destination.svsm"])
            return [self.tool("attack", "--recipe", folder / "recipe", source, "-o", folder / "out",
                              "--instance", golden / "destination.svsm", "--trust", golden / "root.pem",
                              "--second", golden / "mixed/stream.mig")]
        vectors = folder / "Fixtures" / "vectors"
        vectors.mkdir(parents=True)
        for shared in self.fixtures.iterdir():
            if shared.name != "vectors":
                (vectors.parent / shared.name).symlink_to(shared)
        self.write(vectors, vector.name, text.encode(errors="surrogateescape"))
        return [self.tool("verify", "--vectors", vectors)]


def all_targets(tools, fixtures, scratch):
    scratch = pathlib.Path(scratch)
    return [kind(tools, fixtures, scratch)
            for kind in (SNPStream, QEMUStream, Image, Channel, Report, Party, Bundle, Dump, Text)]
