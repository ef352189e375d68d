package import Errors
package import Wire

/// What a QEMU hands to its successor beside the stream, in a migration of mode cpr-transfer or cpr-exec: the
/// file descriptors that stay open (QEMU 10, `migration/cpr.c`). All integers are big-endian.
///
/// After the header, for each descriptor: a byte 1, the length of its name with the zero byte at its end (4
/// bytes), the name, an id that tells those of one name apart (4 bytes), and then the descriptor: its number
/// (4 bytes, cpr-exec), or one space where it comes beside the state, through a socket (cpr-transfer). A byte
/// 0 ends the list. What follows, of VFIO devices in later versions, is not read.
package struct CPRState: Equatable, Sendable {
  package struct Header: WireRecord {
    package var magic: WireBytes<4>
    package var version: BE32

    static let magic = Array("QCPR".utf8)
    static let version: UInt32 = 1
  }

  /// What stays open.
  package struct Descriptor: Equatable, Sendable {
    package let name: SectionName
    package let id: Int32
    /// Nil where it came beside the state.
    package let number: Int32?
  }

  /// Descriptors of a state at most; a machine has some for each device and vCPU.
  package static let limit = 65536
  /// Descriptors that are kept; a name may have 255 bytes, and more when it is shown.
  package static let listLimit = 4096
  private static let follows: UInt8 = 1
  private static let besideState = UInt8(ascii: " ")

  /// The first descriptors, and the number of those after them.
  package private(set) var descriptors: [Descriptor] = []
  package private(set) var omitted = 0
  /// Bytes that follow.
  package private(set) var rest: UInt64 = 0

  /// Reads a state to the end of the input.
  /// - Throws: `STREAM-MAGIC`, `STREAM-VERSION`; `SECTION-NAME` for a name that cannot be, `SECTION-LENGTH` for
  ///   too many descriptors or a marker that is none; `STREAM-TRUNCATED`.
  package init(_ input: StreamInput) throws(MigrationError) {
    let start = input.offset
    let header = try input.readRecord(Header.self)
    guard header.magic.array == Header.magic else {
      throw MigrationError(.streamMagic, "no state of a CPR migration", at: start)
    }
    guard header.version.value == Header.version else {
      throw MigrationError(
        .streamVersion, "version of the CPR state is not read",
        at: Header.offset(of: \.version, from: start), expected: "\(Header.version)",
        got: "\(header.version.value)")
    }
    while true {
      let place = input.offset
      let marker = try input.read(UInt8.self)
      if marker == 0 { break }
      guard marker == Self.follows, descriptors.count + omitted < Self.limit else {
        throw MigrationError(
          .sectionLength, "list of descriptors is not well formed", at: place,
          expected: "at most \(Self.limit), each after a byte 1", got: "\(marker)")
      }
      let descriptor = try Self.descriptor(input)
      if descriptors.count < Self.listLimit { descriptors.append(descriptor) } else { omitted += 1 }
    }
    while try !input.isAtEnd() {
      rest += UInt64(input.count)
      input.consume(input.count)
    }
  }

  private static func descriptor(_ input: StreamInput) throws(MigrationError) -> Descriptor {
    let place = input.offset
    let length = try input.read(UInt32.self)
    guard 2...256 ~= length, let name = SectionName(try input.readArray(Int(length) - 1)),
      !name.bytes.contains(0), try input.read(UInt8.self) == 0
    else {
      throw MigrationError(
        .sectionName, "name of a descriptor cannot be", at: place,
        expected: "1 to 255 bytes and a zero byte", got: "length \(length)")
    }
    let id = Int32(bitPattern: try input.read(UInt32.self))
    if try input.peekByte() == besideState {
      input.consume(1)
      return Descriptor(name: name, id: id, number: nil)
    }
    return Descriptor(name: name, id: id, number: Int32(bitPattern: try input.read(UInt32.self)))
  }
}
