#!/usr/bin/env python3
"""Checks what the tools wrote with programs that are not ours. Started by Tests/run.

QEMU's analyze-migration script, unmodified (SVSM_ANALYZE_MIGRATION names it), walks every golden
stream to its end; OpenSSL's command verifies the model platform's chains and the attestation
report of an instance made on the spot; gdb and volatility3 (SVSM_VOLATILITY names a Python that has
it) read memory and registers of a guest that QEMU saved and svsm-mig-guest exported. Each kind of
check is also given something broken, which it must not pass. A missing peer is a failure.
"""

import argparse
import hashlib
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Sections that every SNP stream has, in stream order; services are the guest's to have or not.
SECTIONS = ["snp-session", "ram", "snp-guest-map", "snp-private-pages", "snp-epochs", "snp-vcpu",
            "snp-page-states", "snp-commit"]


class Refused(Exception):
    """A peer does not accept what it was given."""


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=600)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Refused(f"{command[0]} exits {done.returncode}: {said[-1] if said else ''}")
    return done.stdout


def walk(stream):
    """Has QEMU's script walk a stream. It stops without a word at a section type of zero, so the
    end counts as reached only when it has met every section that the VM description lists."""
    script = os.environ["SVSM_ANALYZE_MIGRATION"]
    met = [key.rsplit(" (", 1)[0]
           for key in json.loads(run("python3", script, "-f", stream, "-d", "state"))]
    listed = [device["name"]
              for device in json.loads(run("python3", script, "-f", stream, "-d", "desc"))["devices"]]
    # `ram` has no fields and need not stand in the description.
    if sorted(name for name in met if name != "ram") != sorted(n for n in listed if n != "ram"):
        raise Refused(f"sections met {met}, listed {listed}")
    order = [name for name in dict.fromkeys(met) if name in SECTIONS]
    if order != SECTIONS:
        raise Refused(f"sections {order}")
    return f"{len(met)} sections"


def walk_cut(stream, scratch):
    """The same on a stream without its last byte's section: the check must notice."""
    whole = stream.read_bytes()
    cut = scratch / "cut.mig"
    # The commit's section becomes what the script takes for the end of the stream.
    at = whole.index(b"\x0asnp-commit") - 5
    cut.write_bytes(whole[:at] + b"\0" + whole[at + 1:])
    walk(cut)


def walk_real(case, tools, offer, root, scratch):
    """Saves a guest that QEMU saved as an SNP stream, and has the script walk that. It must show the
    devices as it does in QEMU's own stream, but for those whose content is the guest's."""
    script = os.environ["SVSM_ANALYZE_MIGRATION"]
    scratch.mkdir()
    plain, stream = scratch / "plain", scratch / "real.mig"
    plain.write_bytes(lzma.decompress((case / "stream.xz").read_bytes()))
    run(tools / "svsm-mig-save", plain, "--input-format", "qemu", "--private", "all",
        "-o", stream, "--to", offer, "--trust", root)

    def devices(path):
        shown = json.loads(run("python3", script, "-f", path, "-d", "state"))
        return [(key.rsplit(" (", 1)[0], value) for key, value in shown.items()]
    sealed = ("cpu", "cpu_common", "ram", "configuration")
    wanted = [device for device in devices(plain)
              if device[0] not in sealed and not device[0].startswith("tpm-")]
    found = [device for device in devices(stream)
             if device[0] not in sealed and not device[0].startswith("snp-")]
    if wanted != found or not wanted:
        raise Refused(f"{len(found)} devices, not the {len(wanted)} of QEMU's stream")
    return f"{walk(stream)}, {len(found)} devices"


def pem(der, scratch):
    path = scratch / (der.parent.name + "-" + der.stem + ".pem")
    run("openssl", "x509", "-inform", "DER", "-in", der, "-out", path)
    return path


def verify_chain(folder, intermediate, scratch):
    run("openssl", "verify", "-CAfile", pem(folder / "ark.der", scratch),
        "-untrusted", pem(intermediate, scratch), pem(folder / "vcek.der", scratch))


def der_integer(little_endian):
    number = int.from_bytes(little_endian, "little")
    body = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return bytes([2, len(body)]) + body


def certificates(table):
    """The certificates of a GHCB certificate table: GUID, offset and length up to a zero GUID."""
    for at in range(0, len(table), 24):
        if table[at:at + 16] == bytes(16):
            return
        start = int.from_bytes(table[at + 16:at + 20], "little")
        yield table[start:start + int.from_bytes(table[at + 20:at + 24], "little")]
    raise Refused("certificate table without an end")


def verify_offer(offer, root, scratch, flip=None):
    """OpenSSL verifies the chain and the signature of an offer's report (Formats, offer file;
    the report's layout: AMD, SEV-SNP ABI)."""
    report, table = bytearray(offer[128:128 + 1184]), offer[128 + 1184:]
    if flip is not None:
        report[flip] ^= 1
    by_name = {}
    for number, der in enumerate(certificates(table)):
        path = scratch / f"offer-{number}.der"
        path.write_bytes(der)
        subject = run("openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-subject")
        kind = next(kind for kind in (b"ARK", b"VCEK", b"SEV") if kind in subject)
        by_name[kind] = pem(path, scratch)
    run("openssl", "verify", "-CAfile", root, "-untrusted", by_name[b"SEV"],
        by_name[b"VCEK"])
    numbers = der_integer(report[0x2A0:0x2A0 + 72]) + der_integer(report[0x2E8:0x2E8 + 72])
    (scratch / "signature").write_bytes(bytes([0x30, len(numbers)]) + numbers)
    (scratch / "signed").write_bytes(report[:0x2A0])
    (scratch / "key").write_bytes(
        run("openssl", "x509", "-in", by_name[b"VCEK"], "-noout", "-pubkey"))
    run("openssl", "dgst", "-sha384", "-verify", scratch / "key", "-signature",
        scratch / "signature", scratch / "signed")


class SavedGuest:
    """A guest that QEMU saved, with what was read from the memory of the QEMU process."""

    def __init__(self, name, scratch):
        self.scratch = scratch
        self.stream = scratch / f"{name}.qemu"
        self.fixture = REPOSITORY / "Fixtures/qemu" / name
        self.stream.write_bytes(lzma.decompress((self.fixture / "stream.xz").read_bytes()))
        blocks = json.loads((self.fixture / "case.json").read_text())["ram_blocks"]
        main_block = next(block for block in blocks if block["name"] == "pc.ram")
        self.size, self.digest = main_block["used_length"], main_block["sha256"]
        self.memory = (self.digest, (0, self.size))

    def export(self, tools):
        bundle, self.core = self.scratch / "exported", self.scratch / "exported.core"
        run(tools / "svsm-mig-guest", "import", self.stream, "-o", bundle)
        run(tools / "svsm-mig-guest", "export", bundle, "-o", self.core, "--format", "elf")

        self.paged = self.scratch / "exported.paged"
        run(tools / "svsm-mig-guest", "export", bundle, "-o", self.paged, "--format", "elf",
            "--paging")

    def damaged(self):
        core = bytearray(self.core.read_bytes())
        core[len(core) // 2] ^= 1
        path = self.scratch / "damaged.core"
        path.write_bytes(core)
        return path

    def gdb(self, core, command):
        return run("gdb", "-nx", "-q", "-batch", "-ex", f"core {core}", "-ex", command).decode()

    def gdb_registers(self):
        """Those that `info registers` of QEMU's monitor shows under the same names."""
        names = ["rip", "rsp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"]
        names += [f"r{number}" for number in range(8, 16)]
        facts = (self.fixture / "registers.txt").read_text().replace(" =", "=").split()
        lines = self.gdb(self.core, "info registers " + " ".join(names)).splitlines()
        shown = dict(line.split()[:2] for line in lines if line.split()[:1] and
                     line.split()[0] in names)
        for name in names:
            fact = next(word for word in facts if word.startswith(name.upper() + "="))
            if int(shown[name], 16) != int(fact.split("=")[1], 16):
                raise Refused(f"gdb shows {name} {shown[name]}, it was {fact}")
        return f"{len(names)} registers"

    def gdb_stack(self, core):
        """gdb disassembles at $rip, and finds callers: addresses behind a call of the kernel."""
        fact = next(word for word in (self.fixture / "registers.txt").read_text().split()
                    if word.startswith("RIP="))
        shown = self.gdb(core, "x/i $rip")
        line = next((line for line in shown.splitlines() if line.startswith("=>")), None)
        if line is None or int(line.split()[1].rstrip(":"), 16) != int(fact[4:], 16):
            raise Refused("gdb does not disassemble at RIP")
        frames = [line.split()[1] for line in self.gdb(core, "bt").splitlines()
                  if line.startswith("#") and int(line.split()[1], 16) >> 47]
        callers = list(dict.fromkeys(frames))[1:]
        for caller in callers:
            before = self.gdb(core, f"x/i {caller}-5").splitlines()[-1]
            if "call" not in before:
                raise Refused(f"{caller} is behind no call: {before}")
        if not callers:
            raise Refused("gdb finds no caller")
        return f"called from {', '.join(callers)}"

    def gdb_memory(self, core):
        dump = self.scratch / "gdb.memory"
        self.gdb(core, f"dump binary memory {dump} 0 {self.size}")
        if hashlib.sha256(dump.read_bytes()).hexdigest() != self.digest:
            raise Refused("gdb reads other memory")


def volatility(file, digest, *ranges):
    """Compares ranges of physical memory, as volatility reads them, with a digest."""
    read = run(os.environ["SVSM_VOLATILITY"], REPOSITORY / "Tests/peers/read-memory.py", file,
               *(f"{start}+{size}" for start, size in ranges)).decode().strip()
    if read != digest:
        raise Refused("volatility reads other memory")


def split_memory(tools, scratch):
    """Memory on both sides of 4 GiB, each at its address."""
    guest, core = scratch / "split", scratch / "split.core"
    run(tools / "svsm-mig-guest", "create", "-o", guest, "--memory", "4M", "--below-4g", "1M")
    run(tools / "svsm-mig-guest", "export", guest, "-o", core, "--format", "elf")
    volatility(core, hashlib.sha256((guest / "ram-0.bin").read_bytes()).hexdigest(),
               (0, 1 << 20), (4 << 30, 3 << 20))


def same_state(stream, sealed, part):
    """QEMU's script shows a sealed stream as it shows the other."""
    shown = [run("python3", os.environ["SVSM_ANALYZE_MIGRATION"], "-f", file, "-d", part)
             for file in (stream, sealed)]
    if shown[0] != shown[1]:
        raise Refused(f"analyze-migration shows another {part}")
    return f"{len(shown[0])} characters of {part}"


def seal_behind_description(stream, sealed, scratch):
    """The same seal where it does not belong: the check must notice."""
    whole, moved = sealed.read_bytes(), scratch / "moved.qemu"
    covered = whole.index(b"SVSMSEAL")
    description = stream.read_bytes()[covered:]
    moved.write_bytes(whole[:covered] + description + whole[covered:-len(description)])
    return same_state(stream, moved, "state")


def sealed_streams(checks, tools, scratch):
    """What other programs make of QEMU's streams that svsm-mig-seal sealed."""
    for name in ("pc2.4-boot", "pc72-boot", "pc72-boot-devices", "pc100-boot", "pc100-boot-dimm",
                 "q35-72-boot"):
        guest = SavedGuest(name, scratch)
        sealed = scratch / f"{name}.sealed"
        checks.check(f"svsm-mig-seal seals QEMU's stream {name}", run, tools / "svsm-mig-seal",
                     guest.stream, "-o", sealed)
        # Of QEMU 10.0's streams the script of 7.2 reads the description only.
        for part in ("desc",) if name.startswith("pc100") else ("state", "desc"):
            checks.check(f"analyze-migration shows the {part} of sealed {name} as before",
                         same_state, guest.stream, sealed, part)
    checks.check("analyze-migration does not show a stream with its seal at the very end",
                 seal_behind_description, guest.stream, sealed, scratch, refused=True)
    checks.check("volatility reads the memory of sealed q35-72-boot", volatility, sealed,
                 *guest.memory)


def exported_memory(checks, tools, scratch):
    """What other programs read from exported memory."""
    # Of QEMU's own streams volatility reads those without commands, which 10.0 writes.
    for name in ("pc72-boot", "q35-72-boot"):
        guest = SavedGuest(name, scratch)
        checks.check(f"volatility reads the memory of QEMU's stream {name}",
                     volatility, guest.stream, *guest.memory)
    guest = SavedGuest("pc72-tiny", scratch)
    try:
        guest.export(tools)
        damaged = guest.damaged()
    except (Refused, OSError) as fault:
        checks.failed += 1
        print(f"FAIL  the memory of a saved guest is exported: {fault}")
        return
    checks.check("volatility reads the memory of QEMU's stream pc72-tiny",
                 volatility, guest.stream, *guest.memory)
    checks.check("volatility reads the same memory from its ELF core",
                 volatility, guest.core, *guest.memory)
    checks.check("volatility reads other memory where one bit was changed",
                 volatility, damaged, *guest.memory, refused=True)
    checks.check("volatility finds memory on both sides of 4 GiB", split_memory, tools, scratch)
    checks.check("gdb reads the registers from its ELF core", guest.gdb_registers)
    checks.check("gdb reads the same memory from it", guest.gdb_memory, guest.core)
    checks.check("gdb reads other memory where one bit was changed", guest.gdb_memory, damaged,
                 refused=True)
    checks.check("gdb disassembles at $rip and walks the stack in its core with paging",
                 guest.gdb_stack, guest.paged)
    checks.check("gdb does not in its core without paging", guest.gdb_stack, guest.core,
                 refused=True)


class Checks:
    """Runs checks, says how each went, and counts. `check` returns whether all was well."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, promise, action, *arguments, refused=False, **options):
        try:
            note = action(*arguments, **options)
            fault = "accepted" if refused else None
        except Refused as refusal:
            note = None
            fault = None if refused else str(refusal)
        except (OSError, KeyError, ValueError, StopIteration, subprocess.TimeoutExpired) as error:
            note, fault = None, repr(error)
        if fault is None:
            self.passed += 1
            print(f"ok    {promise}" + (f" ({note})" if note else ""))
        else:
            self.failed += 1
            print(f"FAIL  {promise}: {fault}")
        return fault is None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="folder of our tools")
    tools = parser.parse_args().tools
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)

        streams = sorted((REPOSITORY / "Fixtures/golden").glob("*/stream.mig"))
        if not streams:
            checks.check("there are golden streams", walk, REPOSITORY / "Fixtures/golden")
        for stream in streams:
            checks.check(f"analyze-migration walks golden {stream.parent.name}", walk, stream)
        if streams:
            checks.check("analyze-migration does not walk a stream cut before the commit",
                         walk_cut, streams[0], scratch, refused=True)

        platform = REPOSITORY / "Fixtures/model-platform"
        for chip in ("chip-0", "chip-1"):
            checks.check(f"openssl verify accepts the chain of model {chip}",
                         verify_chain, platform / chip, platform / chip / "ask.der", scratch)
        checks.check("openssl verify refuses it under another intermediate of the same name",
                     verify_chain, platform / "chip-0", platform / "variants/other-ask.der",
                     scratch, refused=True)

        instance, offer, root = scratch / "d.svsm", scratch / "d.offer", scratch / "root.pem"
        checks.check("svsm-mig-prepare makes an instance", run, tools / "svsm-mig-prepare",
                     "--instance", instance, "--output", offer, "--root-out", root)
        if offer.exists():
            checks.check("openssl verifies the report of its offer",
                         verify_offer, offer.read_bytes(), root, scratch)
            checks.check("openssl refuses that report with one bit changed",
                         verify_offer, offer.read_bytes(), root, scratch, flip=0x50, refused=True)
        for name in ("pc72-boot-devices", "q35-72-boot", "pc72-tiny"):
            checks.check(f"analyze-migration shows the devices of {name} in an SNP stream",
                         walk_real, REPOSITORY / "Fixtures/qemu" / name, tools, offer, root,
                         scratch / name)

        sealed_streams(checks, tools, scratch)
        exported_memory(checks, tools, scratch)

    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
