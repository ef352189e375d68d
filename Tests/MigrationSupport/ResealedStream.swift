internal import Cryptography
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

/// A stream whose source's VMM lies: sections are put in or taken out, and the seal is made anew and
/// signed by the source, which cannot tell.
package struct ResealedStream {
  private var covered: [UInt8]
  private let seal: [UInt8]
  private let trailer: [UInt8]
  /// The section's id in our streams (`Formats/stream.md`, section 3.1).
  private static let ramID: UInt32 = 2

  /// - Parameter stream: of the laboratory.
  package init(_ stream: [UInt8]) throws {
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    var end = 0
    while true {
      let record = try reader.next()
      if case .eof = record { end = Int(reader.offset) }
      guard case .seal(let seal) = record else { continue }
      covered = Array(stream[..<end])
      self.seal = seal.encoded
      trailer = Array(stream[(stream.count - Int(seal.trailerLength))...])
      return
    }
  }

  /// Puts a part of `ram` into the stream, with one page of the block `pc.ram`.
  /// - Parameters:
  ///   - page: of the block.
  ///   - byte: fills it.
  ///   - epoch: in which it comes.
  ///   - isFirst: whether it comes before the epoch's page records, or behind all of its memory.
  package mutating func insertShared(
    page: Int, byte: UInt8, epoch: Int, isFirst: Bool
  ) throws {
    var part: [UInt8] = []
    part.append(StreamGrammar.PartHeader(.part, id: Self.ramID))
    part.append(bigEndian: UInt64(page * 4096) | 0x008)
    part += [6] + Array("pc.ram".utf8) + [UInt8](repeating: byte, count: 4096)
    part.append(bigEndian: UInt64(0x010))
    part.append(StreamGrammar.Footer(id: Self.ramID))
    let place = try places(ofEpoch: epoch)
    covered.insert(contentsOf: part, at: isFirst ? place.lowerBound : place.upperBound)
  }

  /// Takes all parts of `ram` out of an epoch.
  package mutating func removeShared(epoch: Int) throws {
    let place = try places(ofEpoch: epoch)
    var cuts: [Range<Int>] = []
    try walk { section, reader in
      guard section.name == "ram", section.kind == .part, place.contains(Int(section.offset))
      else { return }
      let start = Int(section.offset)
      if cuts.last?.lowerBound != start { cuts.append(start..<start) }
      cuts[cuts.count - 1] = start..<Int(reader) + 5
    }
    for cut in cuts.reversed() { covered.removeSubrange(cut) }
  }

  /// Where the memory of an epoch begins, and where its token does.
  private func places(ofEpoch epoch: Int) throws -> Range<Int> {
    var tokens: [Int] = []
    var first: Int?
    try walk { section, _ in
      if section.kind == .part, first == nil { first = Int(section.offset) }
      if section.kind == .part, section.name == "snp-epochs" { tokens.append(Int(section.offset)) }
    }
    let tokenSize =
      StreamGrammar.PartHeader.size + EpochToken.Layout.size + StreamGrammar.Footer.size
    let start = epoch == 1 ? first ?? 0 : tokens[epoch - 2] + tokenSize
    return start..<tokens[epoch - 1]
  }

  /// Calls `body` for each record with its section and the offset behind what was read.
  private func walk(_ body: (SectionHeader, UInt64) -> Void) throws {
    var reader = SNPStreamReader(StreamInput(ArraySource(covered)), checkingSealWith: nil)
    while true {
      if case .eof = try reader.next() { return }
      if let section = reader.section { body(section, reader.offset) }
    }
  }

  /// The whole stream, sealed by the laboratory's source.
  package func sealed() throws -> [UInt8] {
    let chunks = stride(from: 0, to: covered.count, by: 262_144).map {
      covered[$0..<min($0 + 262_144, covered.count)]
    }
    let leaves = try chunks.map { try SHA256.hash([0] + $0) }
    var fixed = seal
    var numbers: [UInt8] = []
    numbers.append(bigEndian: UInt64(covered.count))
    numbers.append(bigEndian: UInt64(leaves.count))
    fixed.replaceSubrange(24..<72, with: numbers + (try root(leaves[...])))
    let key = try Lab.instance(2, chip: 1).encoded()[\SVSMInstance.Layout.privateKey].array
    let message = Array("svsm-migration v1 seal".utf8) + [0] + fixed
    let signature = try P384.PrivateKey(key).signLowS(message: message).raw
    return covered + fixed + leaves.flatMap { $0 } + signature + trailer
  }

  /// RFC 6962, section 2.1.
  private func root(_ leaves: ArraySlice<[UInt8]>) throws -> [UInt8] {
    if leaves.count == 1 { return leaves[leaves.startIndex] }
    var half = 1
    while half * 2 < leaves.count { half *= 2 }
    return try SHA256.hash([1] + root(leaves.prefix(half)) + root(leaves.dropFirst(half)))
  }
}
