import Errors
import Guest
import Migration
import MigrationSupport
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

/// One small migration, made once: four pages, two of them private.
private let small: (stream: [UInt8], destination: SVSMInstance) = {
  do {
    let scratch = try Scratch()
    var memory = [UInt8](repeating: 0, count: 4 * 4096)
    for index in memory.indices { memory[index] = UInt8(truncatingIfNeeded: index / 3) }
    for index in 4096..<8192 { memory[index] = 0 }
    try scratch.write("ram", memory)
    var options = RawImageOptions()
    options.privateRanges = try GPARangeSet(parsing: "0x0-0xfff,0x3000-0x3fff")
    let guest = try GuestReader(rawImage: scratch["ram"], options)
    let destination = try Lab.instance(1)
    return (try Lab.save(guest, to: destination), destination)
  } catch {
    Issue.record(error)
    return ([], try! Lab.instance(1))
  }
}()

@Suite struct DamageTests {
  /// Parts of the sweeps below, so that they run side by side.
  static let parts = 8

  /// What a verifier without keys says.
  private func refusal(of stream: [UInt8]) throws -> MigrationError? {
    try Lab.verifier().verify(StreamInput(ArraySource(stream)), stopsAtFirst: true).refusal
  }

  /// What a destination says, restoring nothing.
  private func refusalWithKeys(of stream: [UInt8]) throws -> MigrationError? {
    try Lab.verifier()
      .verify(StreamInput(ArraySource(stream)), for: small.destination, stopsAtFirst: true).refusal
  }

  @Test func theStreamAsMadeIsAccepted() throws {
    #expect(try refusal(of: small.stream) == nil)
    #expect(try refusalWithKeys(of: small.stream) == nil)
  }

  @Test(arguments: 0..<parts)
  func aChangedByteAnywhereIsRefusedWithoutKeys(part: Int) throws {
    for place in stride(from: part, to: small.stream.count, by: Self.parts) {
      var stream = small.stream
      stream[place] ^= 1 << UInt8(place & 7)
      let refusal = try refusal(of: stream)
      if refusal == nil { Issue.record("byte \(place) may change unseen") }
    }
  }

  @Test(arguments: 0..<parts)
  func aChangedByteAnywhereIsRefusedWithKeys(part: Int) throws {
    for place in stride(from: part * 37, to: small.stream.count, by: Self.parts * 37) {
      var stream = small.stream
      stream[place] ^= 0xff
      let refusal = try refusalWithKeys(of: stream)
      if refusal == nil { Issue.record("byte \(place) may change unseen") }
    }
  }

  /// Not only the code: the words and the place too, for it is one judge that says them.
  @Test(arguments: 0..<parts)
  func whatAVerifierFindsFirstIsWhatALoadRefuses(part: Int) throws {
    let scratch = try Scratch()
    for place in stride(from: part * 61, to: small.stream.count, by: Self.parts * 61) {
      var stream = small.stream
      stream[place] ^= 0xff
      let found = try Lab.verifier().verify(
        StreamInput(ArraySource(stream)), for: small.destination
      ).refusal
      let refused = #expect(throws: MigrationError.self) {
        try Lab.load(stream, for: small.destination, to: scratch["out"])
      }
      #expect(found == refused, "byte \(place)")
    }
  }

  @Test(arguments: 0..<parts)
  func aTruncatedStreamIsRefused(part: Int) throws {
    for length in stride(from: part, to: small.stream.count, by: Self.parts) {
      let refusal = try refusal(of: Array(small.stream.prefix(length)))
      if refusal == nil { Issue.record("\(length) bytes are taken for a whole stream") }
    }
  }

  /// Rows: a byte of the report, or of the certificate table behind it, from the report's start; the
  /// place that is named.
  @Test(arguments: [
    (0x18E, ErrorCode.reportReserved, 0x18E), (0x90, .reportSignature, 0x2A0),
    (0x4A0 + 16, .certificateTable, 0x4A0 + 40), (0x4A0 + 120, .certificateAlgorithm, 0x4A0),
  ])
  func damagedEvidenceIsRefusedWithItsPlaceInTheStream(
    place: Int, code: ErrorCode, named: Int
  ) throws {
    var stream = small.stream
    let (version, suite) = ([0, 1] as [UInt8], [0, 0x11, 0, 2, 0, 2] as [UInt8])
    let session = try #require(stream.firstRange(of: version + suite)).lowerBound
    let report = session + TransferData.Layout.size
    stream[report + place] ^= 0x80
    let refusal = try refusalWithKeys(of: stream)
    #expect(refusal?.code == code)
    #expect(refusal?.offset == UInt64(report + named))
  }

  @Test func bytesAfterTheEndAreRefused() throws {
    #expect(try refusal(of: small.stream + [0])?.code == .streamTrailing)
  }

  @Test func nothingIsLeftOfARefusedLoad() throws {
    let scratch = try Scratch()
    for place in [100, small.stream.count / 2, small.stream.count - 200] {
      var stream = small.stream
      stream[place] ^= 1
      #expect(throws: MigrationError.self) {
        try Lab.load(stream, for: small.destination, to: scratch["out"])
      }
      #expect(try scratch.names.isEmpty)
    }
  }
}
