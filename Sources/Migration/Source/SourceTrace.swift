internal import QEMUStream
internal import SVSM
internal import Wire

/// Where the VMM puts the records of the trusted side, for its trace.
extension SessionTrace {
  /// Names the place of the next record: a part that begins at `offset`.
  /// - Parameter stride: bytes from one part to the next.
  func place(ofPart offset: UInt64, stride: UInt64 = 0) {
    place = (offset + UInt64(StreamGrammar.PartHeader.size), stride)
  }

  /// Names the place of the next record: a section of its own that begins at `offset`.
  func place(of header: SectionHeader, at offset: UInt64) {
    var head: [UInt8] = []
    head.append(header)
    place = (offset + UInt64(head.count), 0)
  }
}
