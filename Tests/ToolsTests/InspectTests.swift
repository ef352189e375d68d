import Cryptography
import Errors
import Guest
import JSON
import SEVSNP
import SVSM
import TestSupport
import Testing
import Wire

@Suite struct InspectTests {
  private let guest: SavedGuest

  init() throws { guest = try SavedGuest.shared.get() }

  private func inspect(
    _ arguments: [String], input: String = "/dev/null", output: Program.Output = .collected
  ) throws -> Program.Outcome {
    try Program.runTool("svsm-mig-inspect", arguments, input: input, output: output)
  }

  private func json(_ arguments: [String], status: Int32 = 0) throws -> JSON {
    let outcome = try inspect(["--json"] + arguments)
    #expect(outcome.status == status)
    return try outcome.json
  }

  @Test func theOverviewCountsWhatTheGuestHas() throws {
    let found = try json([guest.streamPath])
    let states = guest.description.pageStates
    #expect(found["schema"]?.string == "svsm-migration/inspect/2")
    #expect(found["kind"]?.string == "snp")
    #expect(found["machine"]?.string == "pc-q35-10.0")
    #expect(found["complete"]?.bool == true)
    #expect(found["size"]?.int == guest.stream.count)
    #expect(found["privatePages"]?["count"]?.uint == states.pages(in: .validated))
    let shared = found["sharedPages"]
    #expect(
      (shared?["content"]?.uint ?? 0) + (shared?["zero"]?.uint ?? 0)
        == states.pages(in: .shared))
    #expect(found["commit"]?["vcpus"]?.int == 2)
    #expect(found["commit"]?["privatePages"]?.uint == states.pages(in: .validated))
    #expect(found["seal"]?["coveredLength"]?.uint ?? 0 > 0)
    #expect(found["session"]?["mutual"]?.bool == true)
    #expect(found["session"]?["seeded"]?.bool == true)
    #expect(found["session"]?["sourceReport"]?["vmpl"]?.int == 0)
    #expect(found["epochs"]?.array?.last?["last"]?.bool == true)
    #expect(found["ramBlocks"]?.array?.first?["usedLength"]?.uint == 0x200000)
  }

  @Test func keysComeInOneOrder() throws {
    let keys = try json([guest.streamPath, "--sections"]).members?.map(\.key)
    #expect(
      keys == [
        "schema", "kind", "machine", "size", "complete", "session", "ramBlocks", "guestMap",
        "epochs", "privatePages", "sharedPages", "final", "commit", "seal", "vmdescription",
        "sections",
      ])
  }

  @Test func runsAreThoseOfThePageStates() throws {
    let found = try json([guest.streamPath])
    let runs = found["privatePages"]?["runs"]?.array ?? []
    let pages = runs.reduce(0) { $0 + ($1["pages"]?.uint ?? 0) }
    #expect(pages == guest.description.pageStates.pages(in: .validated))
    for run in runs {
      let gpa = try #require(run["gpa"]?.string.flatMap { UInt64($0.dropFirst(2), radix: 16) })
      let state = try #require(guest.description.pageStates.run(at: gpa))
      #expect(state.state == .validated)
      #expect(
        run["permissions"]?.string?.hasSuffix(String(state.permissions.rawValue, radix: 16))
          == true)
    }
  }

  @Test func sectionsTileTheSealedPart() throws {
    let found = try json([guest.streamPath, "--sections", "--verbose"])
    let sections = try #require(found["sections"]?.array)
    for (section, next) in zip(sections, sections.dropFirst()) {
      let end = try #require(section["bodyOffset"]?.uint) + (try #require(section["size"]?.uint))
      #expect(next["offset"]?.uint == end + 5)
      #expect(section["cut"]?.bool == false)
    }
    let last = try #require(sections.last)
    #expect(last["name"]?.string == "snp-commit")
    let end = try #require(last["bodyOffset"]?.uint) + (try #require(last["size"]?.uint))
    // Its footer and the byte that ends the sections.
    #expect(found["seal"]?["coveredLength"]?.uint == end + 6)
    let short = try json([guest.streamPath, "--sections"])
    let counts = short["sections"]?.array?.compactMap { $0["count"]?.int } ?? []
    #expect(counts.reduce(0, +) == sections.count)
    #expect(counts.count < sections.count)
  }

  @Test func aPipeIsInspectedAsAFileIs() throws {
    let piped = try inspect(["--json", "--sections", "-"], input: guest.streamPath)
    #expect(piped.status == 0)
    #expect(piped.text == (try inspect(["--json", "--sections", guest.streamPath]).text))
  }

  @Test func theTextNamesEveryPart() throws {
    let overview = [
      "Session", "RAM blocks", "Guest-physical map", "Epochs", "Private pages", "Shared pages",
      "Final state", "Commit", "Seal", "VM description",
    ]
    let parts = [
      "Sections", "Private page records", "Shared page records", "snp-session 0", "snp-commit 0",
    ]
    for (options, titles) in [([], overview), (["--sections", "--pages", "--devices"], parts)] {
      let outcome = try inspect([guest.streamPath] + options)
      #expect(outcome.status == 0)
      for title in overview + parts {
        let isShown = "\n\(outcome.text)".contains("\n\(title)\n")
        #expect(isShown == titles.contains(title), "\(title)")
      }
      #expect(!outcome.text.contains("\u{1b}"))
    }
  }

  // MARK: With the destination's keys

  @Test func theInstanceShowsRegistersAndServices() throws {
    let found = try json([guest.streamPath, "--instance", guest.instancePath])
    let vcpus = try #require(found["vcpus"]?.array)
    #expect(vcpus.count == 2)
    for (shown, vcpu) in zip(vcpus, guest.description.vcpus) {
      let page = try VMSA(vcpu.vmsa)
      #expect(shown["apicID"]?.uint == UInt64(vcpu.apicID))
      #expect(shown["sevFeatures"]?.array?.compactMap(\.string) == ["SNPActive"])
      let values = page.values()
      #expect(values.count > 100)
      for value in values {
        let register = try #require(shown["registers"]?[value.name], "\(value.name)")
        if let number = value.number {
          #expect(register.string == Hex.number(number), "\(value.name)")
        } else if let segment = value.segment {
          #expect(register["base"]?.string == Hex.number(segment.base.value), "\(value.name)")
        } else {
          #expect(register.string == Hex.encode(value.bytes), "\(value.name)")
        }
      }
      #expect(shown["registers"]?["RIP"]?.string == Hex.number(page.rip))
    }
    let service = try #require(guest.description.services.first)
    let shown = found["services"]?.array?.first
    #expect(shown?["kind"]?.string == "vtpm")
    #expect(shown?["size"]?.int == service.blob.count)
    #expect(shown?["sha256"]?.string == Hex.encode(try SHA256.hash(service.blob)))
    #expect(found["pageStates"]?.array?.count == guest.description.pageStates.runs.count)
    #expect(found["secretsPage"]?["gpa"]?.string == "0x10d000")
    let text = try inspect([guest.streamPath, "--instance", guest.instancePath]).text
    #expect(text.contains("vCPU with APIC id 1, VMPL 2"))
    #expect(text.contains("0x1: SNPActive"))
  }

  @Test func noKeyAndNoPrivateMemoryIsShownUnasked() throws {
    let arguments = [guest.streamPath, "--instance", guest.instancePath, "--pages", "--devices"]
    let shown = try inspect(arguments).text + inspect(arguments + ["--json"]).text
    let instance = try guest.files.read("destination.svsm")
    // Private key, endorsement key and the keys of the secrets page: bytes 24 to 247.
    for start in stride(from: 24, to: 248, by: 16) {
      #expect(!shown.contains(Hex.encode(instance[start..<start + 16])))
    }
    let page = try guest.page(try guest.firstPage(.validated))
    #expect(!shown.contains(Hex.encode(page[0..<4096])))
  }

  @Test func aPrivatePageIsDecryptedOnlyWithTheInstance() throws {
    let gpa = try guest.firstPage(.validated)
    let page = "0x" + String(gpa + 0x123, radix: 16)
    let closed = try json([guest.streamPath, "--page", page])["page"]
    #expect(closed?["gpa"]?.string == "0x" + String(gpa, radix: 16))
    #expect(closed?["plaintext"]?.isNull == true)
    let record = try #require(closed?["privateRecords"]?.array?.first)
    let offset = try #require(record["offset"]?.int)
    let ciphertext = Array(guest.stream[offset + 48..<offset + 4144])
    #expect(record["ciphertextSHA256"]?.string == Hex.encode(try SHA256.hash(ciphertext)))
    #expect(record["tag"]?.string == Hex.encode(guest.stream[offset + 32..<offset + 48]))
    let open = try json([guest.streamPath, "--page", page, "--instance", guest.instancePath])
    #expect(open["page"]?["plaintext"]?.string == Hex.encode(try guest.page(gpa)))
  }

  @Test func aSharedPageIsShownToAnyone() throws {
    let gpa = try guest.firstPage(.shared)
    let page = try json([guest.streamPath, "--page", "\(gpa)"])["page"]
    let record = try #require(page?["sharedRecords"]?.array?.first)
    let content = try guest.page(gpa)
    if content.allSatisfy({ $0 == 0 }) {
      #expect(record["zero"]?.bool == true)
    } else {
      #expect(record["content"]?.string == Hex.encode(content))
    }
    #expect(page?["privateRecords"]?.array?.isEmpty == true)
  }

  @Test func anotherInstanceIsRefused() throws {
    let found = try json([guest.streamPath, "--instance", guest.otherPath], status: 65)
    #expect(found["refusal"]?["code"]?.string == "SESSION-RECIPIENT")
  }

  // MARK: Damaged and other streams

  @Test(arguments: [0.02, 0.3, 0.7, 0.98])
  func aCutStreamIsShownUpToTheCut(part: Double) throws {
    let length = Int(Double(guest.stream.count) * part)
    let path = try guest.files.write("cut-\(length)", Array(guest.stream[..<length]))
    let found = try json([path, "--sections"], status: 65)
    #expect(found["complete"]?.bool == false)
    #expect(found["refusal"]?["code"]?.string == "STREAM-TRUNCATED")
    #expect(found["refusal"]?["exitStatus"]?.int == 65)
    #expect(found["machine"]?.string == "pc-q35-10.0")
    #expect(found["sections"]?.array?.isEmpty == false)
    let text = try inspect([path])
    #expect(text.status == 65)
    #expect(text.text.contains("Reading stopped here"))
  }

  @Test func aDamagedPageHeaderIsRefusedWithItsPlace() throws {
    let gpa = try guest.firstPage(.validated)
    let page = try json([guest.streamPath, "--page", "\(gpa)"])["page"]
    let offset = try #require(page?["privateRecords"]?.array?.first?["offset"]?.int)
    var bytes = guest.stream
    bytes[offset + 20] = 9
    let found = try json([try guest.files.write("damaged", bytes)], status: 65)
    #expect(found["refusal"]?["code"]?.string == "PAGE-OPERATION")
    #expect(found["refusal"]?["offset"]?.int == offset + 20)
    #expect(found["refusal"]?["section"]?.string == "snp-private-pages")
  }

  @Test(arguments: [[UInt8]("not a stream at all, but long".utf8), [0x51, 0x45, 0x56, 0x4D, 0]])
  func whatIsNoStreamIsCalledNoneWithKeysToo(bytes: [UInt8]) throws {
    let path = try guest.files.write("no-stream-\(bytes.count)", bytes)
    let code: ErrorCode = bytes.count > 8 ? .streamMagic : .streamTruncated
    try inspect([path, "--instance", guest.instancePath, "--page", "0x1000"]).requireRefusal(code)
  }

  @Test func whatIsNoStreamIsRefused() throws {
    #expect(try json([guest.files.path], status: 65)["code"]?.string == "INPUT-KIND")
    let empty = try guest.files.write("empty", "")
    #expect(try json([empty], status: 65)["code"]?.string == "STREAM-EMPTY")
    let text = try guest.files.write("text", "no stream at all, but long enough")
    let found = try json([text], status: 65)
    #expect(found["refusal"]?["code"]?.string == "STREAM-MAGIC")
    #expect(try inspect([guest.files["missing"]]).status == 66)
    #expect(try inspect([guest.streamPath, "--page", "zero"]).status == 64)
  }

  @Test func aFullDiskIsAFailure() throws {
    for options in [[], ["--json"]] {
      let outcome = try inspect([guest.streamPath] + options, output: .file("/dev/full"))
      #expect(outcome.status == 74)
      #expect(outcome.errors.contains("failed [IO-WRITE]"))
    }
  }

  @Test(arguments: ["pc72-boot", "q35-72-boot", "pc100-boot"])
  func aQEMUStreamIsShownWithItsDevices(name: String) throws {
    let bytes = try Fixture.read("qemu/\(name)/stream.xz")
    let path = try guest.files.write(name, bytes)
    let found = try json([path, "--sections", "--devices"])
    #expect(found["kind"]?.string == "qemu")
    #expect(found["complete"]?.bool == true)
    #expect(found["size"]?.int == bytes.count)
    #expect(
      found["ramBlocks"]?.array?.contains { $0["name"]?.string == "pc.ram" } == true)
    let devices = try #require(found["devices"]?.array)
    #expect(devices.count > 20)
    #expect(devices.allSatisfy { $0["error"] == nil && $0["fields"] != nil })
    let cpu = devices.first { $0["name"]?.string == "cpu" }?["fields"]
    #expect(cpu?["env.eip"]?.string?.hasPrefix("0x") == true)
    // A pipe has its description at its end too, and says the same.
    let piped = try inspect(["--json", "--sections", "--devices", "-"], input: path)
    #expect(try piped.json["devices"] == found["devices"])
    #expect(try piped.json["sections"] == found["sections"])
    let refused = try json([path, "--instance", guest.instancePath], status: 65)
    #expect(refused["code"]?.string == "STREAM-KIND")
  }

  /// Rows: what a recipe damages, what its tag says, and its field.
  @Test(arguments: [
    ("set page[1].gpa ones", ErrorCode.pageTag, ErrorCode.pageAddress),
    ("set token[0].reserved ones", .epochTag, .sectionReserved),
    ("set vcpu[0].kind zero", .finalTag, .finalOrder),
    ("set commit.reserved ones", .commitTag, .sectionReserved),
  ])
  func withKeysATagIsJudgedBeforeItsFields(
    recipe: String, tag: ErrorCode, field: ErrorCode
  ) throws {
    let shop = try Workshop()
    for name in ["destination.svsm", "root.pem", "mixed/stream.mig"] {
      let file = name.split(separator: "/").last.map(String.init) ?? name
      try shop.write(file, try Fixture.read("golden/\(name)"))
    }
    try shop.write("recipe", Array("\(recipe)\n".utf8))
    try shop.must("attack", "--recipe @recipe @stream.mig -o @damaged")
    try shop.run("inspect", "@damaged").requireRefusal(field)
    let keys = "--instance @destination.svsm --trust @root.pem"
    try shop.run("inspect", "@damaged \(keys)").requireRefusal(tag)
  }
}
