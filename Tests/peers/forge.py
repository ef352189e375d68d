#!/usr/bin/env python3
"""Has a source lie in every field of every record it seals, with every extreme value, and looks at what a
destination says. Started by Tests/run, with a sample; with --whole every value of every field is tried.

The fields are those of the tables in Formats/*.md; a recipe of one `forge` line (Formats/vectors.md) puts
one value into one of them, under good tags and a good seal. Each stream that comes out is verified without
keys and with them, inspected with them, and loaded. It must be that

- no tool ends by a signal or says that it is at fault itself: the status is 0 or 65;
- the verifier with keys and the load say the same, code, section and byte, and leave no guest when they
  refuse;
- nothing is refused without keys that is accepted with them;
- what is accepted is a matter of the guest itself, which only its own SVSM knows: ACCEPTED says which.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FORMATS = pathlib.Path(__file__).resolve().parents[2] / "Formats"
OPTIONS = ["--trust", "root.pem", "--instance"]

# Registers that no rule is about: fewer values do.
REGISTER = r"vcpu\[\d\]\.vmsa\.(?!VMPL$|EFER$|SEV_FEATURES$).*"

# What a destination must take from a source that it believes, and why that breaks no rule.
ACCEPTED = [
    (r"vcpu\[\d\]\.apic_id", "any number that no other vCPU has"),
    (REGISTER, "registers are the guest's own"),
    (r"vcpu\[\d\]\.vmsa\.EFER", "as long as SVME is set"),
    (r"service\[\d\]\.plaintext\.(kind|flags|version)", "a service of a kind that need not be known"),
    (r"service\[\d\]\.generation", "who keeps the generation compares it"),
    (r"service\[\d\]\.blob", "only the service itself reads it"),
    (r"secrets\.facts\.(?!guest_vmpl$|reserved$).*", "what the guest's SVSM tells its guest"),
    (r"states\.run\[\d\]\.permissions", "permissions of pages are the SVSM's to set"),
    (r"page\[\d\]\.(rmp_page_size|vmpl_permissions)", "the page states decide in the end"),
    (r"page\[\d\]\.content", "the guest's memory"),
    (r"session\.report\.(GUEST_SVN|FAMILY_ID|IMAGE_ID|PLATFORM_INFO|MEASUREMENT|HOST_DATA|ID_KEY_DIGEST"
     r"|AUTHOR_KEY_DIGEST|REPORT_ID|CPUID_STEP|CURRENT_VERSION|COMMITTED_VERSION|LAUNCH_MIT_VECTOR"
     r"|CURRENT_MIT_VECTOR|POLICY|VERSION|KEY_INFO|CPUID_MOD_ID|LAUNCH_TCB|CURRENT_TCB)",
     "only a policy demands more"),
]

Field = collections.namedtuple("Field", "place size order")
Said = collections.namedtuple("Said", "status line")


class Wrong(Exception):
    """A tool said what it must not."""


def layout(name):
    """Name and size of each field of a table in Formats."""
    for text in sorted(FORMATS.glob("*.md")):
        lines = text.read_text().splitlines()
        if f"<!-- layout: {name} -->" not in lines:
            continue
        rows = []
        for line in lines[lines.index(f"<!-- layout: {name} -->") + 1:]:
            if not line.startswith("|"):
                if rows:
                    break
                continue
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0].isdigit():
                rows.append((cells[2], int(cells[1])))
        return rows
    raise Wrong(f"Formats has no layout {name}")


def fields(prefix, name, order="big", without=()):
    return [Field(f"{prefix}.{field}", size, order) for field, size in layout(name)
            if field not in without]


def all_fields(pages, tokens, states):
    """Every field that a source seals, in streams of so many pages, tokens and page-state runs."""
    found = []
    outer = ("tag",)
    for page in pages:
        found += fields(f"page[{page}]", "page-record", without=outer)
    for token in range(tokens):
        found += fields(f"token[{token}]", "epoch-token", without=outer)
    for record in ["vcpu[0]", "vcpu[1]", "service[0]", "secrets", "states"]:
        found += fields(record, "final-record", without=outer)
    found += fields("vcpu[0].vmsa", "vmsa", "little")
    for vcpu in ["vcpu[0]", "vcpu[1]"]:
        found += fields(vcpu, "vcpu", without=("reserved", "vmsa"))
        found += [Field(f"{vcpu}.plaintext.reserved", 11, "big")]
    found += fields("service[0].plaintext", "service") + [Field("service[0].blob", 16, "big")]
    found = [field._replace(place=field.place.replace("plaintext.generation", "generation"))
             for field in found]
    found += [Field("secrets.gpa", 8, "big")] + fields("secrets.facts", "secrets-page-facts")
    for run in range(states):
        found += fields(f"states.run[{run}]", "page-state-run")
    found += fields("commit", "commit", without=outer)
    # The signature is made behind what is forged.
    found += fields("session.report", "attestation-report", "little",
                    without=("SIGNATURE_R", "SIGNATURE_S", "reserved5"))
    return found


def values(field):
    """Extreme values of a field, as bytes."""
    size, top = field.size, 1 << 8 * field.size
    if size > 8:
        return [bytes(size), b"\xff" * size, b"\1" + bytes(size - 1), bytes(size - 1) + b"\1",
                b"\x80" + bytes(size - 1)]
    numbers = {0, 1, 0x1000, 1 << 52, top >> 1, (top >> 1) - 1, top - 4096, top - 2, top - 1}
    if not re.fullmatch(REGISTER, field.place):
        numbers |= {2, 3, 4, 5, 0x0F, 0x10, 0x1F, 0x20, 64, 65, 255, 256, 4095, 4097, 0x8000, 0x8001, 1 << 16,
                    (1 << 24) - 1, 1 << 24, (1 << 24) + 24, (1 << 24) + 25, 0x1F1F1F1F, 1 << 31,
                    (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 51, (1 << 52) - 4096, (1 << 52) - 1,
                    (1 << 52) + 4096, top - (1 << 21)}
    return [number.to_bytes(size, field.order) for number in sorted(numbers) if 0 <= number < top]


class Shop:
    """A folder with two guests' streams in it, and the tools."""

    def __init__(self, tools, folder):
        self.tools, self.folder = tools, pathlib.Path(folder)
        self.must("prepare --instance there.svsm --output offer --root-out root.pem --seed 01")
        make = "guest create --seed 02 --vcpus 2"
        # A secrets page among private memory; and pages that come again or are withdrawn.
        self.must(f"{make} --memory 32K --private-fraction 0.7 --secrets-page 0x3000 -o whole")
        for moment in range(3):
            self.must(f"{make} --memory 48K --private-fraction 0.6 --changed-fraction 0.4 "
                      f"--converted-fraction 0.4 --round {moment} -o moment-{moment}")
        save = "--to offer --trust root.pem --seed 03"
        self.must(f"save whole -o whole.mig {save}")
        self.must(f"save moment-0 --round moment-1 --round moment-2 -o rounds.mig {save}")

    def honest(self):
        """The streams of a source that tells no lie: what a lie must differ from."""
        (self.folder / "honest.recipe").write_text("rogue\n")
        for stream in ["whole.mig", "rounds.mig"]:
            self.must(f"attack --recipe honest.recipe {stream} -o honest-{stream} --instance there.svsm")
            self.must(f"verify honest-{stream} {' '.join(OPTIONS)} there.svsm")

    def run(self, line):
        """Status and refusal of a call."""
        tool, *words = line.split()
        done = subprocess.run([str(self.tools / f"svsm-mig-{tool}"), *words, "--quiet"],
                              cwd=self.folder, capture_output=True, timeout=120)
        said = done.stderr.decode(errors="replace").strip().splitlines()
        line = said[-1].split(": ", 1)[-1] if said else ""
        return Said(done.returncode, re.sub(r"^(refused|failed) ", "", line))

    def must(self, line):
        said = self.run(line)
        if said.status != 0:
            raise Wrong(f"`{line}`: {said.line}")


class Trial:
    """One value in one field of one stream."""

    def __init__(self, shop, stream, field, value, number):
        self.shop, self.stream, self.field, self.value = shop, stream, field, value
        self.base = f"trial-{number}"
        self.is_made = self.is_accepted = False
        self.said = ""

    def __str__(self):
        return f"{self.stream}: forge {self.field.place} {self.value.hex()[:40]}"

    def outcome(self):
        """What is wrong; nothing when all is as it must be."""
        try:
            self.judge(f"{self.base}.mig")
        except Wrong as error:
            return f"{self}: {error}"
        finally:
            for path in self.shop.folder.glob(f"{self.base}.*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return None

    def judge(self, stream):
        run, folder = self.shop.run, self.shop.folder
        (folder / f"{self.base}.recipe").write_text(f"forge {self.field.place} {self.value.hex()}\n")
        made = run(f"attack --recipe {self.base}.recipe {self.stream} -o {stream} --instance there.svsm")
        if made.status == 65 and "[RECIPE-PLACE]" in made.line:
            return  # The stream has no such record.
        if made.status != 0:
            raise Wrong(f"attack ends with {made.status}: {made.line}")
        if (folder / stream).read_bytes() == (folder / f"honest-{self.stream}").read_bytes():
            return  # That value stands there.
        self.is_made = True
        shutil.copy(folder / "there.svsm", folder / f"{self.base}.svsm")
        keys = " ".join(OPTIONS)
        said = {
            "verify": run(f"verify {stream} --trust root.pem"),
            "verify with keys": run(f"verify {stream} {keys} there.svsm"),
            "inspect": run(f"inspect {stream} {keys} there.svsm"),
            "load": run(f"load {stream} {keys} {self.base}.svsm --accept-seeded -o {self.base}.guest"),
        }
        for tool, one in said.items():
            if one.status not in (0, 65):
                raise Wrong(f"{tool} ends with {one.status}: {one.line}")
        keyed, loaded = said["verify with keys"], said["load"]
        if keyed != loaded:
            raise Wrong(f"with keys {keyed.line or 'accepted'}; load: {loaded.line or 'accepted'}")
        if said["verify"].status != 0 and loaded.status == 0:
            raise Wrong(f"refused without keys, and loaded: {said['verify'].line}")
        if loaded.status != 0 and (folder / f"{self.base}.guest").exists():
            raise Wrong("a refused load left a guest")
        self.said, self.is_accepted = loaded.line, loaded.status == 0
        if self.is_accepted and not any(re.fullmatch(place, self.field.place) for place, _ in ACCEPTED):
            raise Wrong("accepted")


def trials(shop, arguments):
    """Every value of every field of both streams; of a sample one value of each field."""
    every = []
    for stream, fields_of in [("whole.mig", all_fields(range(2), 1, 8)),
                              ("rounds.mig", all_fields(range(8), 3, 4))]:
        for field in fields_of:
            # The second stream is about what comes and goes.
            if stream == "rounds.mig" and not re.match(r"page|token|states|commit", field.place):
                continue
            every += [(stream, field, value) for value in values(field)]
    every = [trial for trial in every if arguments.only in trial[1].place]
    if not arguments.whole:
        every = sample(every)
    return [Trial(shop, *trial, number) for number, trial in enumerate(every)]


def sample(every):
    """One trial of each field of each kind of record, the same each time, with values of every size."""
    chosen, of_field = [], collections.OrderedDict()
    for trial in every:
        kind = re.sub(r"\[\d+\]", "", trial[1].place)
        of_field.setdefault((trial[0], kind), []).append(trial)
    for number, candidates in enumerate(of_field.values()):
        chosen.append(candidates[number * 7 % len(candidates)])
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tools", type=pathlib.Path, required=True, help="folder of svsm-mig-*")
    parser.add_argument("--whole", action="store_true", help="every value of every field")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="places that hold this text")
    arguments = parser.parse_args()
    accepted, codes, wrong, made = collections.Counter(), collections.Counter(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(arguments.tools.resolve(), folder)
        shop.honest()
        every = trials(shop, arguments)
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for trial, outcome in zip(every, pool.map(Trial.outcome, every)):
                made += trial.is_made
                if outcome is not None:
                    wrong.append(outcome)
                elif trial.is_accepted:
                    accepted[re.sub(r"\d+", "n", trial.field.place)] += 1
                elif trial.is_made:
                    codes[re.match(r"\[([A-Z0-9-]+)\]", trial.said).group(1)] += 1
    for code, count in sorted(codes.items()):
        print(f"refused    {count:6}  {code}")
    for place, count in sorted(accepted.items()):
        print(f"accepted   {count:6}  {place}")
    for what in wrong:
        print(f"wrong      {what}")
    print(f"{made} lies: {sum(codes.values())} refused, {sum(accepted.values())} accepted as the guest's "
          f"own, {len(wrong)} wrong")
    return 1 if wrong or not made else 0


if __name__ == "__main__":
    sys.exit(main())
