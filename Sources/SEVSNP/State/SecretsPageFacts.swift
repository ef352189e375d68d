package import Errors
package import Wire

/// The fields of a secrets page that may migrate with its guest: no key, no counter, nothing of the
/// platform. Each field of the record is read and written as a property.
@dynamicMemberLookup
package struct SecretsPageFacts: Equatable, Sendable {
  /// The record of these fields in this format, big-endian.
  package struct Layout: WireRecord {
    package static let name = "secrets-page-facts"

    /// Guest-physical address of the SVSM's memory; the next field is its size in bytes.
    package var svsmBase: BE64
    package var svsmSize: BE64
    /// Guest-physical address of the first vCPU's calling area.
    package var svsmCallingArea: BE64
    /// Guest-physical address of the AP jump table, 0 when there is none.
    package var apJumpTable: BE64
    /// Highest supported version of the SVSM core protocol.
    package var svsmMaxVersion: BE32
    package var tscFactor: BE32
    /// VMPL that the guest OS runs at, 1 to 3.
    package var guestVMPL: U8
    /// Zero.
    package var reserved: WireBytes<7>
    /// One bit for each 8 bytes of a VMSA, lowest address in the lowest bit.
    package var vmsaTweakBitmap: WireBytes<64>
    /// For the guest OS's own use.
    package var guestUsage: WireBytes<32>
  }

  private var record = Layout()

  /// All fields zero.
  package init() {}

  /// Reads one record.
  /// - Throws: `STREAM-TRUNCATED`; `SECRETS-PAGE` for a nonzero reserved byte or a level outside of
  ///   1 to 3.
  package init(from cursor: inout ByteCursor) throws(MigrationError) {
    let start = cursor.offset
    record = try cursor.read()
    guard 1...3 ~= self.guestVMPL else {
      throw MigrationError(
        .secretsPage, "guest cannot run at this privilege level",
        at: Layout.offset(of: \.guestVMPL, from: start), expected: "VMPL 1 to 3",
        got: "VMPL \(self.guestVMPL)")
    }
    if let place = record.firstNonZero(in: [\.reserved]) {
      throw MigrationError(
        .secretsPage, "reserved byte is not zero", at: start + UInt64(place))
    }
  }

  package subscript<Value, Order, let size: Int>(
    dynamicMember field: WritableKeyPath<Layout, WireNumber<Value, Order, size>>
  ) -> Value {
    get { record[keyPath: field].value }
    set { record[keyPath: field].value = newValue }
  }

  /// The new value must have exactly the size of the field.
  package internal(set) subscript<let size: Int>(
    dynamicMember field: WritableKeyPath<Layout, WireBytes<size>>
  ) -> [UInt8] {
    get { record[keyPath: field].array }
    set { record[keyPath: field].array = newValue }
  }

  /// The encoded record.
  package var bytes: [UInt8] { record.bytes }

  package static func == (one: Self, other: Self) -> Bool { one.bytes == other.bytes }
}
