package import Errors

/// What unpacks the bytes that a stream is read from. There is one layer at most: the ratios of two
/// multiply, and so the work that a small file demands; each layer also needs a dictionary of its own.
package enum PackingLayer: Sendable {
  /// The whole file is packed.
  case file(Packing)
  /// Clusters of the qcow2 image whose VM state is read are compressed.
  case clusters

  /// The refusal of a stream that is packed again within this layer.
  package func refusal(of inner: Packing, at offset: UInt64) -> MigrationError {
    let (place, advice) =
      switch self {
      case .file(let outer):
        ("a file packed by \(outer.rawValue)", "unpack the file with \(outer.rawValue) first")
      case .clusters:
        ("compressed clusters of a qcow2 image", "QEMU compresses no clusters of VM state")
      }
    return MigrationError(
      .imageFormat, "stream packed by \(inner.rawValue) is in \(place)", at: offset,
      expected: "one layer; \(advice)")
  }
}
