import Migration
import QEMUStream
import Testing

/// A stream cut into its sections, to be put together otherwise.
struct SectionPieces {
  /// From a section's type byte to the end of its footer.
  var pieces: [(header: SectionHeader, bytes: [UInt8])] = []
  /// What comes before the first section, and after the last.
  var head: [UInt8] = []
  var tail: [UInt8] = []

  init(_ stream: [UInt8]) throws {
    var reader = SNPStreamReader(StreamInput(ArraySource(stream)), checkingSealWith: nil)
    var starts: [SectionHeader] = []
    var end = 0
    reading: while true {
      switch try reader.next() {
      case .eof:
        end = Int(reader.offset) - 1
        break reading
      case .pages(let count):
        let first = reader.section
        for index in 0..<count {
          var section = try #require(first)
          section.offset += UInt64(index * SNPStreamReader.pageStride)
          starts.append(section)
        }
      default:
        if let section = reader.section, section.offset != starts.last?.offset {
          starts.append(section)
        }
      }
    }
    head = Array(stream[..<Int(starts[0].offset)])
    tail = Array(stream[end...])
    for (index, header) in starts.enumerated() {
      let next = index + 1 < starts.count ? Int(starts[index + 1].offset) : end
      pieces.append((header, Array(stream[Int(header.offset)..<next])))
    }
  }

  func index(of name: SectionName, _ kind: SectionHeader.Kind, skipping: Int = 0) -> Int {
    let found = pieces.indices.filter {
      pieces[$0].header.name == name && pieces[$0].header.kind == kind
    }
    return found[skipping]
  }

  var stream: [UInt8] { head + pieces.flatMap(\.bytes) + tail }
}
