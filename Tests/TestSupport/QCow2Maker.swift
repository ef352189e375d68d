internal import Wire

/// Makes a qcow2 image of one snapshot, called "x", of a disk without bytes. One L2 table maps its state.
package struct QCow2Maker {
  /// A cluster of the state: its bytes, which are stored as they are or compressed.
  package enum Cluster: Sendable {
    case plain([UInt8])
    /// Bytes of the image after its tables, from the given one on.
    case compressed(Range<Int>)
  }

  private let clusterBits: Int
  private let isZstd: Bool
  private var clusterSize: Int { 1 << clusterBits }

  package init(clusterBits: Int, isZstd: Bool = false) {
    (self.clusterBits, self.isZstd) = (clusterBits, isZstd)
  }

  /// - Parameters:
  ///   - clusters: at most as many as an L2 table has entries.
  ///   - body: the bytes after the tables that compressed clusters lie in.
  package func image(_ clusters: [Cluster], body: [UInt8] = []) -> [UInt8] {
    var image = head(stateSize: clusters.count * clusterSize)
    image.append(bigEndian: UInt64(2 * clusterSize))
    pad(&image, to: clusterSize)
    let bodyStart = 3 * clusterSize
    let plainStart = bodyStart + (body.count + clusterSize - 1) / clusterSize * clusterSize
    var plain: [UInt8] = []
    for cluster in clusters {
      switch cluster {
      case .plain(let bytes):
        image.append(bigEndian: UInt64(plainStart + plain.count))
        plain += bytes
        pad(&plain, to: clusterSize)
      case .compressed(let range):
        let (first, last) = (bodyStart + range.lowerBound, bodyStart + range.upperBound - 1)
        let sectors = UInt64(last / 512 - first / 512)
        image.append(
          bigEndian: 1 << 62 | sectors << UInt64(62 - (clusterBits - 8)) | UInt64(first))
      }
    }
    pad(&image, to: clusterSize)
    image += body
    if !plain.isEmpty { pad(&image, to: clusterSize) }
    return image + plain
  }

  /// The header and the table of snapshots: one cluster.
  private func head(stateSize: Int) -> [UInt8] {
    var head: [UInt8] = [0x51, 0x46, 0x49, 0xfb]
    func put<Field: FixedWidthInteger & UnsignedInteger>(_ value: Field) {
      head.append(bigEndian: value)
    }
    put(UInt32(3))
    head += [UInt8](repeating: 0, count: 12)
    put(UInt32(clusterBits))
    head += [UInt8](repeating: 0, count: 36)
    put(UInt32(1))
    put(UInt64(256))
    put(UInt64(isZstd ? 8 : 0))
    head += [UInt8](repeating: 0, count: 16)
    put(UInt32(4))
    put(UInt32(112))
    head.append(isZstd ? 1 : 0)
    pad(&head, to: 256)
    put(UInt64(clusterSize))
    put(UInt32(1))
    for length in [1, 1] { put(UInt16(length)) }
    head += [UInt8](repeating: 0, count: 20)
    put(UInt32(24))
    for number in [stateSize, 0, 0] { put(UInt64(number)) }
    head += Array("1x".utf8)
    pad(&head, to: clusterSize)
    return head
  }

  private func pad(_ bytes: inout [UInt8], to size: Int) {
    bytes += [UInt8](repeating: 0, count: (size - bytes.count % size) % size)
  }

  /// A stream of deflate that holds `bytes` as they are.
  package static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    var stream: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 65_535) {
      let piece = bytes[start..<min(start + 65_535, bytes.count)]
      stream.append(start + piece.count == bytes.count ? 1 : 0)
      for length in [UInt16(piece.count), ~UInt16(piece.count)] {
        stream.append(bigEndian: length.byteSwapped)
      }
      stream += piece
    }
    return stream
  }

  /// A frame of zstd that is `count` zero bytes, in as few bytes as there can be.
  package static func zeroFrame(_ count: Int) -> [UInt8] {
    var frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]
    for start in stride(from: 0, to: count, by: 128 << 10) {
      let size = min(128 << 10, count - start)
      // 3 bytes of header, and a zero byte that is repeated.
      let word = UInt32(size << 3 | 2 | (start + size == count ? 1 : 0))
      frame.append(bigEndian: word.byteSwapped)
    }
    return frame
  }
}
