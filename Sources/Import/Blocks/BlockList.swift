package import Guest
package import JSON
internal import QEMUStream
internal import Wire

/// What a folder of RAM blocks says of them: the file `blocks.json` (`Formats/export.md`, section 4).
package struct BlockList {
  package struct Entry {
    /// As tools show it.
    package var name: String
    /// Bytes.
    package var size: UInt64
    /// Where it lies; empty when that is not known, or nowhere.
    package var ranges: [MappedRange] = []
    /// Number of bytes that are not in the stream. They are zero in the file, or older content that a
    /// postcopy source discarded.
    package var missing: UInt64 = 0
    package var hash: BlockHash

    package init(name: String, size: UInt64, hash: BlockHash) {
      (self.name, self.size, self.hash) = (name, size, hash)
    }
  }

  /// Nil when nothing names it.
  package var machine: String?
  /// In the order of their files.
  package var entries: [Entry] = []
  /// Whether the stream was read to its end.
  package var isRead = true

  package init(machine: String?) { self.machine = machine }

  /// Bytes of all blocks.
  package var size: UInt64 { entries.reduce(0) { $0 + $1.size } }

  /// Schema `svsm-migration/blocks/2`.
  package var json: JSON {
    var members: [JSON.Member] = [.init("schema", "svsm-migration/blocks/2")]
    if let machine { members.append(.init("machine", .string(machine))) }
    let isWhole = isRead && entries.allSatisfy { $0.missing == 0 }
    members.append(.init("complete", .bool(isWhole)))
    let blocks = entries.enumerated().map {
      Self.json($0.element, file: BlockFolder.file($0.offset))
    }
    members.append(.init("blocks", .array(blocks)))
    return .object(members)
  }

  private static func json(_ entry: Entry, file: String) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(entry.name)), .init("file", .string(file)),
      .init("size", JSON(entry.size)),
    ]
    if !entry.ranges.isEmpty {
      let ranges = entry.ranges.map { range -> JSON in
        [
          "gpa": .string(Hex.number(range.gpa)), "offset": .string(Hex.number(range.offset)),
          "size": JSON(range.size),
        ]
      }
      members.append(.init("ranges", .array(ranges)))
    }
    switch entry.hash {
    case .hash(let hash): members.append(.init("sha256", .string(Hex.encode(hash))))
    case .zeros(let count):
      members.append(.init("sha256", .null))
      members.append(.init("unhashedZeros", JSON(count)))
    }
    members.append(.init("missing", JSON(entry.missing)))
    return .object(members)
  }
}
