import Foundation
import JSON
import TestSupport
import Testing
import Wire

/// `Formats/json.md` and what the tools print say the same.
@Suite struct JSONFormatTests {
  /// A result or refusal, and the table it has to follow.
  struct Printed: Sendable {
    var call: String
    var table: String
    var json: JSON
  }

  /// Copied into the folder under the names the calls below use.
  private static let inputs = [
    "stream": "golden/mixed/stream.mig", "secrets": "golden/secrets-page/stream.mig",
    "one-way": "golden/one-way/stream.mig", "rounds": "golden/rounds/stream.mig",
    "destination.svsm": "golden/destination.svsm",
    "destination.offer": "golden/destination.offer", "root.pem": "golden/root.pem",
    "qemu": "qemu/pc100-boot/stream.xz", "old-qemu": "qemu/pc2.0-boot/stream.xz",
    "q35": "qemu/q35-72-boot/stream.xz", "q35-linux": "qemu/q35-72-tiny-smp2/stream.xz",
    "cancelled": "qemu/pc72-boot-cancelled/stream.xz",
    "libvirt": "qemu/libvirt72-pc-raw/image.xz", "board": "qemu/arm-72-microbit/stream.xz",
    "image": "qcow2/v3-72.xz", "packed": "packed/frame.lz4", "padded": "qcow2/stream-of-v3-72.xz",
    "main": "qemu/q35-72-boot-multifd-zstd/main.xz",
    "multifd": "qemu/q35-72-boot-multifd-zstd/multifd-0.xz",
    "bare": "channels/main.xz", "vfio": "channels/vfio-0.xz",
    "left-out": "left-out/mapped-left-out.xz", "cpr": "left-out/cpr-100.qcpr",
    "csv": "dialects/hygon-csv2/stream.xz", "tdx": "dialects/intel-tdx/stream.xz",
    "milan": "attestation/milan-v3-ccf.report.bin",
    "milan.der": "attestation/milan-v3-ccf.vcek.der",
    "old": "attestation/milan-v2-virtee.report.bin",
    "genoa": "attestation/genoa-v5-oak.report.bin", "turin": "attestation/turin-v5-ccf.report.bin",
    "milan-policy": "policies/milan.json", "here.json": "target/source.json",
    "there.json": "target/target.json", "save.jsonl": "golden/rounds/save.jsonl",
    "load.jsonl": "golden/rounds/load.jsonl",
  ]

  /// Rows: table, tool, call, exit status. Together they print every key.
  private static let calls: [(table: String, tool: String, line: String, status: Int32)] = [
    (inspect, "inspect", "@stream --json", 0),
    (inspect, "inspect", "@one-way --json --sections --devices", 0),
    (inspect, "inspect", "@cut --json --sections --devices", 65),
    (inspect, "inspect", "@qemu --json --sections --devices", 0),
    (inspect, "inspect", "@qemu --json --cpus --page 0x7c00", 0),
    (inspect, "inspect", "@qemu --json --section globalstate", 0),
    (inspect, "inspect", "@board --json --cpus", 0),
    (inspect, "inspect", "@old-qemu --json --ram-hashes", 0),
    (inspect, "inspect", "@libvirt --json", 0), (inspect, "inspect", "@board --json", 0),
    (inspect, "inspect", "@image --json --snapshot state", 0),
    ("svsm-migration/snapshots/1", "inspect", "@image --json --snapshot list", 0),
    (inspect, "inspect", "@packed --json", 0),
    (inspect, "inspect", "@padded --json --length 400000", 0),
    (verify, "verify", "@padded --json --length 400000", 0),
    ("svsm-migration/cpr/1", "inspect", "@cpr --json", 0),
    (inspect, "inspect", "@main --json --ram-hashes --channel @multifd", 65),
    (inspect, "inspect", "@bare --json --channel @vfio", 65),
    (inspect, "inspect", "@left-out --json --ram-hashes", 0),
    (inspect, "inspect", "@cancelled --json --allow-incomplete", 0),
    (
      inspect, "inspect",
      "@stream --json --sections --devices --page 0x1000 --instance @destination.svsm "
        + "--trust @root.pem", 0
    ),
    (inspect, "inspect", "@stream --json --page-hashes --instance @destination.svsm", 0),
    (
      inspect, "inspect",
      "@secrets --json --page 0x1000 --instance @destination.svsm --trust @root.pem", 0
    ),
    (
      inspect, "inspect",
      "@rounds --json --epochs --instance @destination.svsm --trust @root.pem", 0
    ),
    (verify, "verify", "@stream --json --trust @root.pem", 0),
    (verify, "verify", "@stream --json --trust @root.pem --instance @destination.svsm", 0),
    (verify, "verify", "@cut --json --trust @root.pem", 65),
    (verify, "verify", "@damaged --json --trust @root.pem", 65),
    (verify, "verify", "@stream --json --trust @root.pem --offer @destination.offer", 0),
    (verify, "verify", "@qemu --json", 0),
    (verify, "verify", "@sealed --json", 0),
    (verify, "verify", "@sealed --json --signer @destination.offer", 0),
    (verify, "verify", "@libvirt --json --seal @libvirt.seal", 0),
    ("svsm-migration/custody/1", "seal", "@qemu -o @again --report -", 0),
    (verify, "verify", "@csv --json", 0),
    (inspect, "inspect", "@csv --json", 0),
    (inspect, "inspect", "@tdx --json", 0),
    (inspect, "inspect", "@sealed --json", 0),
    (target, "verify", "@qemu --json --target @there.json --target-ram pc.ram=16M", 65),
    (target, "verify", "--source @here.json --json --target @there.json", 65),
    (target, "verify", "--source @here.json --json --target @here.json", 65),
    (target, "verify", "@old-qemu --json --target @bare.json", 0),
    ("refusal", "verify", "@qemu --json --target @stream", 65),
    ("svsm-migration/explanation/1", "verify", "--explain seal-chunk --json", 0),
    ("refusal", "load", "@damaged --json -o @out --instance @once.svsm --trust @root.pem", 65),
    ("refusal", "load", "@cut --json -o @out --instance @once.svsm --trust @root.pem", 65),
    ("refusal", "verify", "@nothing --json", 66),
    (
      "svsm-migration/load/1", "load",
      "@stream --json -o @out --instance @destination.svsm --trust @root.pem --accept-seeded", 0
    ),
    (
      "svsm-migration/replay/1", "load",
      "@rounds --json --until epoch:2,pages:3 -o @at --instance @destination.svsm "
        + "--trust @root.pem --accept-seeded", 0
    ),
    ("svsm-migration/guest/2", "guest", "show @at --json", 0),
    (
      "svsm-migration/named/1", "load", "@stream --json -o @named --instance @interrupted.svsm", 0
    ),
    (
      "svsm-migration/abort/1", "load", "@stream --json --abort -o @abort --instance @once.svsm", 0
    ),
    (report, "attest", "show @milan --json", 0),
    (report, "attest", "show @old --json", 0),
    (report, "attest", "show @genoa --json", 0),
    (report, "attest", "show @turin --json", 0),
    (report, "attest", "show @destination.offer --json", 0),
    (report, "attest", "show @odd --json", 0),
    (report, "attest", "show @hcl --json", 0),
    (attestation, "attest", "verify @hcl --json", 65),
    (attestation, "attest", "verify @milan --json --cert @milan.der --at issue", 0),
    (attestation, "attest", "verify @milan --json --cert @milan.der --at 2001-01-01", 65),
    (attestation, "attest", "verify @odd --json --cert @milan.der --at issue", 65),
    (attestation, "attest", "verify @milan --json", 65),
    (
      attestation, "attest",
      "verify @milan --json --cert @milan.der --at issue --policy @milan-policy", 0
    ),
    (
      attestation, "attest",
      "verify @turin --json --cert @milan.der --at issue --policy @milan-policy", 65
    ),
    (verify, "verify", "@stream --json --trust @root.pem --policy @milan-policy", 65),
    (
      "refusal", "load",
      "@stream --json -o @other --instance @once.svsm --trust @root.pem --policy @stream", 65
    ),
    (attestation, "attest", "verify @unknown --json", 65),
    ("refusal", "attest", "verify @root.pem --json", 65),
    ("svsm-migration/guest/2", "guest", "show @out --json", 0),
    ("svsm-migration/guest/2", "guest", "show @imported --json", 0),
    (diff, "diff", "@stream @secrets --json", 1),
    (diff, "diff", "@early-states @states --json", 1),
    (diff, "diff", "@early.mig @later.mig --json --instance @destination.svsm", 1),
    (diff, "diff", "@qemu @libvirt --json", 1), (diff, "diff", "@q35 @q35-linux --json", 1),
    (diff, "diff", "@with-secrets @secrets --json --instance @destination.svsm", 1),
    (golden, "diff", "--golden @kit --json", 1),
    (traces, "diff", "--trace @save.jsonl @save.jsonl --json", 0),
    (traces, "diff", "--trace @save.jsonl @short.jsonl --json", 1),
    (traces, "diff", "--trace @save.jsonl @changed.jsonl --json", 1),
    (traces, "diff", "--trace @save.jsonl @load.jsonl --json", 1),
    ("svsm-migration/attacks/1", "attack", "--list --json", 0),
    (
      "svsm-migration/vectors/1", "verify",
      "--vectors \(Fixture.path("vectors")) --subject table --subject library --json", 0
    ),
    (
      "svsm-migration/attack-matrix/1", "attack",
      "--matrix @one-way --instance @ready.svsm --trust @root.pem --json", 0
    ),
  ]

  private static let inspect = "svsm-migration/inspect/2"
  private static let verify = "svsm-migration/verify/3"
  private static let target = "svsm-migration/target/1"
  private static let diff = "svsm-migration/diff/1"
  private static let golden = "svsm-migration/golden/1"
  private static let traces = "svsm-migration/trace-difference/1"
  private static let report = "svsm-migration/report/1"
  private static let attestation = "svsm-migration/attestation/1"

  /// Every call's output: printed once for all tests.
  private static let printed = Result { try print() }

  private static func print() throws -> [Printed] {
    let shop = try Workshop()
    for (name, fixture) in inputs {
      try shop.write(name, Fixture.read(fixture))
    }
    for copy in ["once.svsm", "ready.svsm"] {
      try shop.write(copy, shop.read("destination.svsm"))
    }
    try shop.must(
      "load",
      "@stream -o @whole --instance @destination.svsm --trust @root.pem --accept-seeded")
    try shop.write("destination.svsm", shop.read("once.svsm"))
    try shop.interrupt("once.svsm", loading: "stream", as: "whole", into: "interrupted.svsm")
    try shop.must("seal", "@qemu -o @sealed --instance @destination.svsm")
    try shop.must("seal", "@libvirt --detached -o @libvirt.seal")
    try shop.must("guest", "import @qemu -o @imported")
    let stream = try shop.read("stream")
    try shop.write("cut", Array(stream.prefix(100_000)))
    var damaged = stream
    damaged[stream.count / 2] ^= 1
    try shop.write("damaged", damaged)
    // A reserved byte that no firmware sets, then a version there is not.
    var odd = try shop.read("milan")
    odd[0x4C] = 1
    try shop.write("odd", odd)
    odd[0] = 99
    try shop.write("unknown", odd)
    try shop.write("hcl", ReportForms.hcl())
    try shop.truncate("padded", to: 500_000)
    try shop.write("bare.json", Array(#"{"vmschkmachine": {"Name": "none"}}"#.utf8))
    let trace = try shop.text("save.jsonl")
    let lines = trace.split(separator: "\n").dropLast()
    try shop.write("short.jsonl", lines.joined(separator: "\n"))
    try shop.write("changed.jsonl", trace.replacing("\"epoch\": 2", with: "\"epoch\": 3"))
    try makeGuests(in: shop)
    return try calls.map { call in
      let outcome = try shop.run(call.tool, call.line)
      let name = "\(call.tool) \(call.line)"
      try #require(outcome.status == call.status, "\(name): \(outcome.errors)")
      return Printed(call: name, table: call.table, json: try outcome.json)
    }
  }

  /// Guests that differ in all ways, streams of one guest at two times, and golden files that are not as
  /// expected.
  private static func makeGuests(in shop: Workshop) throws {
    let create = "--seed 02 --private-fraction 0.5 --converted-fraction 0.3"
    try shop.must("guest", "create -o @early-states --memory 256K \(create)")
    try shop.must("guest", "create -o @states --memory 512K --round 1 \(create)")
    try shop.must("guest", "create -o @later --memory 256K --round 2 \(create)")
    try shop.must(
      "guest",
      "create -o @with-secrets --seed 02 --memory 256K --private-fraction 1 --secrets-page 0xd000")
    let save = "--to @destination.offer --trust @root.pem --seed 03"
    try shop.must("save", "@early-states -o @early.mig \(save)")
    try shop.must("save", "@early-states --round @later -o @later.mig \(save)")
    for name in ["kit", "kit/a", "kit/b", "kit/c", "kit/d"] { try shop.folder(name) }
    try shop.write(
      "kit/a/scenario",
      """
      run guest create -o guest --memory 64K
      print shown.json guest show guest --json
      print shown.txt guest show guest
      print binary guest export guest -o -
      print missing guest show guest
      """)
    try shop.write("kit/a/shown.json", #"{"schema": "other"}"#)
    try shop.write("kit/a/shown.txt", "other\n")
    try shop.write("kit/a/binary", [0, 1, 2])
    try shop.write("kit/b/scenario", "run guest show nothing\n")
    try shop.write("kit/c/scenario", "keep nothing\n")
    try shop.write("kit/d/made.mig", Array(shop.read("early.mig").dropLast(5000)))
    for name in ["destination.offer", "root.pem"] {
      try shop.write("kit/\(name)", shop.read(name))
    }
    try shop.write(
      "kit/d/scenario",
      """
      input ../destination.offer
      input ../root.pem
      run guest create -o guest --memory 64K
      run save guest -o made.mig --to destination.offer --trust root.pem
      keep made.mig
      """)
  }

  @Test func everyTableIsWellFormed() {
    let tables = DocumentedJSON.tables
    #expect(Set(Self.calls.map(\.table)).isSubset(of: tables.keys))
    for (name, keys) in tables {
      #expect(Set(keys.map(\.path)).count == keys.count, "\(name) has a key twice")
      for key in keys {
        #expect(!key.condition.isEmpty, "\(name) \(key.path) does not say when")
        for type in key.types {
          #expect(DocumentedJSON.isKnown(type), "\(name) \(key.path): no type \(type)")
        }
      }
    }
  }

  @Test func everythingPrintedIsAsDocumented() throws {
    for printed in try Self.printed.get() {
      var check = DocumentedJSON()
      check.check(printed.json, printed.table)
      #expect(check.problems.isEmpty, "\(printed.call)")
    }
  }

  @Test func everyLedgerIsAsItsSchemaSays() throws {
    let schema = try JSONSchema("Formats/verify.schema.json")
    let ledgers = try Self.printed.get().filter { $0.table == Self.verify }
    #expect(ledgers.count > 6)
    for printed in ledgers {
      #expect(schema.problems(of: printed.json) == [], "\(printed.call)")
    }
  }

  @Test func everyLedgerOfADestinationIsAsItsSchemaSays() throws {
    let schema = try JSONSchema("Formats/target.schema.json")
    let ledgers = try Self.printed.get().filter { $0.table == Self.target }
    #expect(ledgers.count == 4)
    for printed in ledgers {
      #expect(schema.problems(of: printed.json) == [], "\(printed.call)")
    }
    let text = String(decoding: ledgers[0].json.pretty, as: UTF8.self)
    for (part, other) in [
      ("\"svsm-migration/target/1\"", "\"svsm-migration/target/2\""),
      ("\"moreFindings\"", "\"more\""),
      ("\"not-checkable\"", "\"fits\""), ("\"TARGET-RAM\"", "\"RAM-LIST\""),
      ("\"ram-block\"", "\"ram\""), ("\"Formats/target.md\"", "\"Formats/stream.md\""),
    ] {
      let changed = text.replacingOccurrences(of: part, with: other)
      #expect(changed != text, "\(part)")
      #expect(try schema.problems(of: JSON(parsing: Array(changed.utf8))) != [], "\(part)")
    }
  }

  /// Rows: what in a ledger is changed, to what a schema must not let pass.
  @Test(arguments: [
    ("\"svsm-migration/verify/3\"", "\"svsm-migration/verify/2\""), ("\"proven\"", "\"fine\""),
    ("\"not-checkable\"", "\"proven\""), ("\"needs\"", "\"need\""), ("\"code\"", "\"Code\""),
    ("\"structure\"", "\"form\""), ("\"withOffer\": false", "\"withOffer\": 0"),
  ])
  func theSchemaFindsWhatIsWrong(part: String, other: String) throws {
    let schema = try JSONSchema("Formats/verify.schema.json")
    let cut = try #require(
      Self.printed.get().first { $0.call.contains("@cut") && $0.table == Self.verify })
    let text = String(decoding: cut.json.pretty, as: UTF8.self)
    let changed = text.replacingOccurrences(of: part, with: other)
    #expect(changed != text)
    #expect(try schema.problems(of: JSON(parsing: Array(changed.utf8))) != [])
  }

  @Test func everyDocumentedKeyIsPrinted() throws {
    var check = DocumentedJSON()
    for printed in try Self.printed.get() { check.check(printed.json, printed.table) }
    for (table, keys) in DocumentedJSON.tables {
      let missing = keys.map(\.path).filter { path in
        !check.seen.contains("\(table) \(path)")
      }
      #expect(missing.isEmpty, "\(table)")
    }
  }

  @Test func aResultNamesItsSchema() throws {
    for printed in try Self.printed.get() {
      let schema = printed.json["schema"]?.string
      #expect(schema == (printed.table == "refusal" ? nil : printed.table), "\(printed.call)")
    }
  }

  /// Rows: what is printed that must not be.
  @Test(arguments: [
    #"{"selector": "0x1", "attributes": "0x1", "limit": "0x1", "base": "0x1", "more": 1}"#,
    #"{"selector": "0x1", "attributes": "0x1", "limit": "0x1"}"#,
    #"{"selector": 1, "attributes": "0x1", "limit": "0x1", "base": "0x1"}"#,
    #"{"selector": "0xG", "attributes": "0x1", "limit": "0x1", "base": "0x1"}"#,
    #"{"selector": null, "attributes": "0x1", "limit": "0x1", "base": "0x1"}"#,
  ])
  func theCheckItselfFindsWhatIsWrong(text: String) throws {
    var check = DocumentedJSON()
    check.check(try JSON(parsing: Array(text.utf8)), "segment")
    #expect(check.problems.count == 1)
  }
}
