import Cryptography
import Guest
import Migration
import MigrationSupport
import SEVSNP
import SVSM
import TestSupport
import Wire

/// The stream of the worked example in `Formats/stream.md`: four pages, the first and the last
/// private, one vCPU, everything from seeds.
enum ExampleStream {
  static let destinationSeed = [UInt8](repeating: 1, count: 32)

  /// Made from `destinationSeed`.
  static func destination() throws -> SVSMInstance { try Lab.instance(1) }

  /// Pages filled with 1, 2, 0 and 4.
  static let memory: [UInt8] = (0..<4).flatMap { page in
    [UInt8](repeating: page == 2 ? 0 : UInt8(page + 1), count: 4096)
  }

  static func make() throws -> [UInt8] {
    let scratch = try Scratch()
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: "0x0-0xfff,0x3000-0x3fff")
    options.services = [
      try ServiceState(kind: .vTPM, version: 1, generation: 6, blob: Array("TPM".utf8))
    ]
    let guest = try GuestReader(rawImage: scratch.write("ram", memory), options)
    return try Lab.save(guest, to: destination(), seed: 3)
  }
}

/// A reader of SNP streams written from `Formats/stream.md` alone: it knows no type of the modules
/// that make streams, only bytes and ciphers. It stops at the first thing that is not as described.
struct PlainReader {
  struct Failure: Error { var what: String }

  let bytes: [UInt8]
  private var next = 0
  private var transcript: [UInt8] = []
  private var names: [UInt32: String] = [:]

  /// Offset, bytes and name of each record.
  private(set) var records: [(offset: Int, size: Int, what: String)] = []
  private(set) var keys: [(name: String, key: [UInt8])] = []
  /// Content of private pages, by gpa.
  private(set) var pages: [UInt64: [UInt8]] = [:]
  /// Plaintext of final records, by section.
  private(set) var final: [String: [UInt8]] = [:]
  private(set) var isCommitted = false
  private(set) var coveredLength = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func read(offer: [UInt8], privateKey: (secret: [UInt8], point: [UInt8])) throws {
    try expect(take(8) == [0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3], "header")
    note(8, "header")
    try expect(take(1) == [7], "configuration")
    _ = take(Int(number(4)))
    note(next - 8, "configuration")
    while true {
      let start = next
      let type = take(1)[0]
      if type == 0 {
        note(1, "EOF")
        break
      }
      try expect((1...4).contains(type), "record type at \(start)")
      let id = UInt32(number(4))
      if type == 1 || type == 4 {
        names[id] = text(take(Int(take(1)[0])))
        _ = take(8)
      }
      let name = names[id] ?? ""
      let body = next
      try readBody(name, type, offer, privateKey)
      note(next - start, label(name, type, body: next - body), at: start)
      try expect(take(5) == [0x7e] + bigEndian(id, 4), "footer of \(name)")
    }
    coveredLength = next
    try readSeal()
    try expect(next == bytes.count, "end")
  }

  private func label(_ name: String, _ type: UInt8, body: Int) -> String {
    let kind = ["", "start", "part", "end", "full"][Int(type)]
    return "\(name) \(kind), body of \(body)"
  }

  private mutating func readBody(
    _ name: String, _ type: UInt8, _ offer: [UInt8], _ key: (secret: [UInt8], point: [UInt8])
  ) throws {
    switch (name, type) {
    case ("snp-session", 4): try readSession(offer, key)
    case ("ram", 1):
      var left = number(8) & ~0xfff
      while left > 0 {
        _ = take(Int(take(1)[0]))
        left -= number(8)
      }
      try expect(number(8) == 0x10, "EOS")
    case ("ram", _):
      while true {
        let word = number(8)
        if word == 0x10 { break }
        if word & 0x20 == 0 { _ = take(Int(take(1)[0])) }
        _ = take(word & 0x8 != 0 ? 4096 : 1)
      }
    case ("snp-guest-map", 4):
      let count = number(8) >> 32
      _ = take(Int(count) * 32)
    case ("snp-private-pages", 2): try readPage()
    case ("snp-private-pages", _):
      try expect(take(4144).allSatisfy { $0 == 0 }, "no-operation")
    case ("snp-epochs", 2):
      let token = take(128)
      let opened = try open("epoch", value(token[0..<4]), token[..<112], token[112...], [])
      try expect(opened == [], "epoch token")
      try expect(Array(token[48..<96]) == digest(), "transcript at the token")
      transcript += token
    case ("snp-epochs", _): try expect(take(128).allSatisfy { $0 == 0 }, "no-operation")
    case ("snp-commit", 4):
      let commit = take(144)
      try expect(try open("commit", 1, commit[..<128], commit[128...], []) == [], "commit")
      try expect(Array(commit[48..<96]) == digest(), "transcript at the commit")
      isCommitted = true
    case (_, 4): try readFinal(name)
    default: throw Failure(what: "section \(name)")
    }
  }

  private mutating func readSession(
    _ offer: [UInt8], _ key: (secret: [UInt8], point: [UInt8])
  ) throws {
    let fixed = take(316)
    let size = value(fixed[308..<312]) + value(fixed[312..<316])
    let transferData = fixed + take(Int(size))
    try expect(Array(fixed[16..<64]) == SHA384.hash(offer), "offer digest")
    let info = labelled("transport key") + fixed[..<64]
    guard
      var context = try HPKE.migration.receiver(
        of: Array(fixed[64..<161]), secret: key.secret, point: key.point, info: info),
      let transportKey = try context.open(Array(fixed[161..<209]), associatedData: [])
    else { throw Failure(what: "key wrap") }
    let prk = try HKDF.extract(
      transportKey, salt: SHA384.hash(transferData), using: .sha384)
    keys = [("transport", transportKey)]
    for (name, label) in [
      ("page", "page key"), ("epoch", "epoch key"), ("final state", "final state key"),
      ("commit", "commit key"),
    ] {
      keys.append(
        (name, try HKDF.expand(prk, info: labelled(label), count: 32, using: .sha384)))
    }
    transcript = transferData
  }

  private mutating func readPage() throws {
    let record = take(4144)
    guard
      let page = try open(
        "page", value(record[0..<8]), record[..<32], record[32..<48], record[48...])
    else { throw Failure(what: "page does not authenticate") }
    pages[value(record[8..<16])] = page
    transcript += record[..<48]
  }

  private mutating func readFinal(_ name: String) throws {
    let head = take(40)
    let content = take(Int(value(head[16..<20])))
    guard
      let plaintext = try open(
        "final state", value(head[8..<16]), head[..<24], head[24..<40], content[...])
    else { throw Failure(what: "\(name) does not authenticate") }
    final[name] = plaintext
    transcript += head
  }

  private mutating func readSeal() throws {
    let start = next
    let fixed = take(216)
    try expect(Array(fixed[..<8]) == Array("SVSMSEAL".utf8), "seal")
    try expect(value(fixed[24..<32]) == UInt64(start), "covered length")
    // The example is shorter than a chunk: its leaf is the root.
    try expect(value(fixed[32..<40]) == 1, "chunks")
    let leaf = try SHA256.hash([0] + bytes[..<start])
    try expect(take(32) == leaf && Array(fixed[40..<72]) == leaf, "leaf and root")
    let signature = take(96)
    let signer = Array(fixed[112..<209])
    let digest = try SHA384.hash(labelled("seal") + fixed)
    try expect(
      try ECDSA.verify(
        digest: digest, r: Array(signature[..<48]), s: Array(signature[48...]), point: signer,
        on: .p384), "signature")
    note(next - start, "seal", at: start)
    let trailer = Array(bytes[next...])
    try expect(value(fixed[72..<80]) == UInt64(trailer.count), "trailer's length")
    try expect(Array(fixed[80..<112]) == SHA256.hash(trailer), "trailer")
    try expect(take(1) == [6], "VM description")
    let size = Int(number(4))
    _ = take(size)
    note(5 + size, "VM description")
  }

  // MARK: Bytes

  private func open(
    _ name: String, _ number: UInt64, _ data: ArraySlice<UInt8>, _ tag: ArraySlice<UInt8>,
    _ ciphertext: ArraySlice<UInt8>
  ) throws -> [UInt8]? {
    let key = keys.first { $0.name == name }?.key ?? []
    var opener = try AEADOpener(key: key)
    let (data, tag, ciphertext) = (Array(data), Array(tag), Array(ciphertext))
    return opener.open(
      ciphertext.span, nonce: AEADNonce(sequence: number), associatedData: data.span,
      tag: tag.span)
  }

  private func digest() throws -> [UInt8] { try SHA384.hash(transcript) }

  private func labelled(_ text: String) -> [UInt8] { Array("svsm-migration v1 \(text)".utf8) + [0] }

  private mutating func take(_ count: Int) -> [UInt8] {
    let end = min(next + count, bytes.count)
    defer { next = end }
    let taken = Array(bytes[next..<end])
    return taken + [UInt8](repeating: 0xee, count: count - taken.count)
  }

  private mutating func number(_ size: Int) -> UInt64 { value(take(size)[...]) }

  private func value(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func bigEndian(_ value: UInt32, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * (size - 1 - $0))) }
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  private mutating func note(_ size: Int, _ what: String, at offset: Int? = nil) {
    records.append((offset ?? next - size, size, what))
  }

  private func expect(_ condition: Bool, _ what: String) throws {
    if !condition { throw Failure(what: "\(what), before byte \(next)") }
  }
}
