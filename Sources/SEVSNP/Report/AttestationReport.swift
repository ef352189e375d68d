package import Errors
internal import Wire

/// An SEV-SNP attestation report (ATTESTATION_REPORT of AMD's SEV-SNP firmware ABI, versions 2 to
/// 5), as `Layout` declares it.
@dynamicMemberLookup
package struct AttestationReport: Equatable, Sendable {
  /// Leading bytes that the signature covers.
  package static let signedSize = Layout.offset(of: \.signatureR)
  /// Significant bytes of R and of S, which are P-384 numbers. They come first in each field.
  static let numberSize = 48
  /// Versions for which the meaning of every byte is known.
  package static let versions: ClosedRange<UInt32> = 2...5

  /// The fields of the report. They can be read through the report itself: `report.policy`.
  package let fields: Fields
  /// R of the signature, 48 bytes, most significant first.
  package let signatureR: [UInt8]
  /// S of the signature, 48 bytes, most significant first.
  package let signatureS: [UInt8]
  /// The bytes of the report, unchanged.
  package let bytes: [UInt8]

  package subscript<Value>(dynamicMember path: KeyPath<Fields, Value>) -> Value {
    fields[keyPath: path]
  }

  /// The bytes the signature covers.
  package var signedBytes: [UInt8] { Array(bytes[..<Self.signedSize]) }

  /// Reads a report and refuses contents that no firmware signs: see `checkForm`. It does not check
  /// who signed the report.
  /// - Throws: `REPORT-LENGTH`, `REPORT-VERSION`, and what `checkForm` throws.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    try self.init(unchecked: bytes)
    try checkForm()
  }

  /// Reads a report of the known length whatever its contents, so that a tool can show a report
  /// that it would refuse. A report of an unknown version has the fields that all known versions
  /// share: newer versions have only given meaning to reserved bytes.
  /// - Throws: `REPORT-LENGTH`.
  package init(unchecked bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Layout.size else {
      throw MigrationError(
        .reportLength, "not the length of an attestation report", in: .report,
        expected: "\(Layout.size) bytes", got: "\(bytes.count)")
    }
    self.bytes = bytes
    let record = Layout(at: 0, of: bytes.span)
    fields = Fields(record)
    signatureR = record.signatureR.array[..<Self.numberSize].reversed()
    signatureS = record.signatureS.array[..<Self.numberSize].reversed()
  }

  /// A report made of signed bytes and a signature. Each number of the signature is 48 bytes, most
  /// significant first, as ECDSA libraries return it.
  /// - Throws: `INTERNAL` when a length is wrong.
  package init(
    signedBytes: [UInt8], signatureR: [UInt8], signatureS: [UInt8]
  ) throws(MigrationError) {
    guard signedBytes.count == Self.signedSize, signatureR.count == Self.numberSize,
      signatureS.count == Self.numberSize
    else { throw MigrationError(.internal, "a part of a report has the wrong length") }
    let tail = [UInt8](repeating: 0, count: Layout.size - Self.signedSize)
    try self.init(unchecked: Self.bytes(signedBytes + tail, signatureR, signatureS))
  }

  /// The bytes of `report` with another signature. Precondition: `report` has the length of a
  /// report.
  package static func bytes(
    _ report: [UInt8], _ signatureR: [UInt8], _ signatureS: [UInt8]
  ) -> [UInt8] {
    func half(_ number: [UInt8]) -> WireBytes<72> {
      var half = WireBytes<72>()
      for (index, byte) in number.reversed().enumerated() { half[index] = byte }
      return half
    }
    var bytes = report
    bytes[\Layout.signatureR] = half(signatureR)
    bytes[\Layout.signatureS] = half(signatureS)
    return bytes
  }
}
