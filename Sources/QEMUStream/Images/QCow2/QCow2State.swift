package import Errors
internal import Wire

/// The VM state of a snapshot, which can be read at any position. One thread at a time.
package final class QCow2State: PositionedSource {
  package let size: UInt64
  private let map: QCow2ClusterMap
  private let file: any PositionedSource
  private let clusterSize: UInt64
  private var unpacker: (any Unpacker)?
  /// The cluster that was unpacked last, and the bytes of the file that hold it.
  private var cluster: [UInt8] = []
  private var clusterPlace: Range<UInt64>?
  /// Room for the packed bytes of a cluster, kept for the next one.
  private var room: [UInt8] = []

  /// Whether clusters of the state are compressed, as no QEMU leaves them.
  package var hasCompressedClusters: Bool { map.hasCompressedClusters }

  init(_ map: QCow2ClusterMap, in file: any PositionedSource, size: UInt64) {
    (self.map, self.file, self.size) = (map, file, size)
    clusterSize = map.header.clusterSize
  }

  package func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(MigrationError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw MigrationError(.readFailed, "VM state is shorter than it should be", at: offset)
    }
    var done = 0
    while done < buffer.count {
      let place = offset + UInt64(done)
      let extent = try map.extent(at: place, wanted: UInt64(buffer.count - done))
      let count = Int(min(extent.count, UInt64(buffer.count - done)))
      var part = buffer._mutatingExtracting(done..<done + count)
      switch extent.place {
      case .hole: part.update(repeating: 0)
      case .stored(let start):
        guard start <= file.size, UInt64(count) <= file.size - start else {
          throw MigrationError(
            .streamTruncated, "qcow2 image ends within its VM state", at: file.size,
            expected: "bytes up to 0x" + String(start + UInt64(count), radix: 16))
        }
        try file.read(at: start, into: &part)
      case .packed(let packed):
        try unpack(packed)
        let first = Int(place % clusterSize)
        part.copy(cluster.span.extracting(first..<first + count), to: 0)
      }
      done += count
    }
  }

  package func nextData(from offset: UInt64) throws(MigrationError) -> Range<UInt64>? {
    var place = offset
    while place < size {
      let extent = try map.extent(at: place, wanted: 1 << 20)
      let end = place + extent.count
      switch extent.place {
      case .hole: place = end
      case .packed: return place..<end
      case .stored(let start):
        // The image file may have holes of its own.
        let stop = start + extent.count
        guard let data = try file.nextData(from: start), data.lowerBound < stop else {
          place = end
          continue
        }
        return place + (data.lowerBound - start)..<place + (min(data.upperBound, stop) - start)
      }
    }
    return nil
  }

  /// Unpacks a cluster, unless it is the one that was unpacked last.
  private func unpack(_ place: Range<UInt64>) throws(MigrationError) {
    guard place != clusterPlace else { return }
    clusterPlace = nil
    var packed: [UInt8] = []
    swap(&packed, &room)
    defer { swap(&packed, &room) }
    if packed.count < place.count { packed = [UInt8](repeating: 0, count: place.count) }
    var span = packed.mutableSpan
    var part = span._mutatingExtracting(0..<place.count)
    try file.read(at: place.lowerBound, into: &part)
    if cluster.isEmpty { cluster = [UInt8](repeating: 0, count: Int(clusterSize)) }
    if unpacker == nil { unpacker = try makeUnpacker() }
    guard let unpacker, unpacker.restart() else {
      throw MigrationError(.internal, "unpacking is not restarted")
    }
    var target = cluster.mutableSpan
    guard unpacker.fill(&target, from: packed.span.extracting(first: place.count)) else {
      throw MigrationError(
        .imageData, "a compressed cluster of the qcow2 image does not unpack",
        at: place.lowerBound)
    }
    clusterPlace = place
  }

  private func makeUnpacker() throws(MigrationError) -> any Unpacker {
    switch map.header.compression {
    case .zlib: try ZlibUnpacker(.none)
    case .zstd: try ZstdUnpacker()
    }
  }
}

extension Unpacker {
  /// Unpacks until `output` is full; further bytes of `packed` are ignored.
  /// - Returns: whether `output` was filled.
  fileprivate func fill(_ output: inout MutableSpan<UInt8>, from packed: Span<UInt8>) -> Bool {
    var (consumed, produced) = (0, 0)
    while produced < output.count {
      var room = output._mutatingExtracting(produced..<output.count)
      guard let piece = step(packed.extracting(consumed..<packed.count), into: &room),
        piece.consumed + piece.produced > 0
      else { return false }
      consumed += piece.consumed
      produced += piece.produced
      if piece.isEnd { break }
    }
    return produced == output.count
  }
}
