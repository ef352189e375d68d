package import Errors
package import Wire

/// An SEV-SNP attestation report (ATTESTATION_REPORT of AMD's SEV-SNP firmware ABI, versions 2 to
/// 5), all fields little-endian.
///
///     offset  size  field
///        000     4  VERSION            2, 3, 4 (laid out as 3), 5
///        004     4  GUEST_SVN
///        008     8  POLICY             see `GuestPolicy`
///        010    16  FAMILY_ID
///        020    16  IMAGE_ID
///        030     4  VMPL               of the requester
///        034     4  SIGNATURE_ALGO     1 = ECDSA P-384 with SHA-384
///        038     8  CURRENT_TCB        see `TCBVersion`
///        040     8  PLATFORM_INFO      see `PlatformInfo`
///        048     4  KEY_INFO           see `KeyInfo`
///        04C     4  reserved           zero
///        050    64  REPORT_DATA        the requester's bytes
///        090    48  MEASUREMENT        launch digest
///        0C0    32  HOST_DATA
///        0E0    48  ID_KEY_DIGEST
///        110    48  AUTHOR_KEY_DIGEST
///        140    32  REPORT_ID
///        160    32  REPORT_ID_MA       all ones without a migration agent
///        180     8  REPORTED_TCB       what the signing key was derived for
///        188     1  CPUID_FAM_ID       from version 3; zero before, as the next two
///        189     1  CPUID_MOD_ID
///        18A     1  CPUID_STEP
///        18B    21  reserved           zero
///        1A0    64  CHIP_ID            zero when masked; Turin uses eight bytes
///        1E0     8  COMMITTED_TCB
///        1E8     3  CURRENT_VERSION    build, minor, major
///        1EB     1  reserved           zero
///        1EC     3  COMMITTED_VERSION  build, minor, major
///        1EF     1  reserved           zero
///        1F0     8  LAUNCH_TCB
///        1F8     8  LAUNCH_MIT_VECTOR  from version 5; zero before, as the next
///        200     8  CURRENT_MIT_VECTOR
///        208   152  reserved           zero
///        2A0    72  SIGNATURE_R        48 bytes little-endian, then zeros
///        2E8    72  SIGNATURE_S        the same
///        330   368  reserved           zero
@dynamicMemberLookup
package struct AttestationReport: Equatable, Sendable {
  /// Bytes of a whole report.
  package static let size = 0x4A0
  /// Leading bytes that the signature covers.
  package static let signedSize = 0x2A0
  /// Versions whose every byte is known.
  package static let versions: ClosedRange<UInt32> = 2...5

  package static let layout = RecordLayout(
    "attestation-report",
    [
      "VERSION": 4, "GUEST_SVN": 4, "POLICY": 8, "FAMILY_ID": 16, "IMAGE_ID": 16, "VMPL": 4,
      "SIGNATURE_ALGO": 4, "CURRENT_TCB": 8, "PLATFORM_INFO": 8, "KEY_INFO": 4, "reserved0": 4,
      "REPORT_DATA": 64, "MEASUREMENT": 48, "HOST_DATA": 32, "ID_KEY_DIGEST": 48,
      "AUTHOR_KEY_DIGEST": 48, "REPORT_ID": 32, "REPORT_ID_MA": 32, "REPORTED_TCB": 8,
      "CPUID_FAM_ID": 1, "CPUID_MOD_ID": 1, "CPUID_STEP": 1, "reserved1": 21, "CHIP_ID": 64,
      "COMMITTED_TCB": 8, "CURRENT_VERSION": 3, "reserved2": 1, "COMMITTED_VERSION": 3,
      "reserved3": 1, "LAUNCH_TCB": 8, "LAUNCH_MIT_VECTOR": 8, "CURRENT_MIT_VECTOR": 8,
      "reserved4": 152, "SIGNATURE_R": 72, "SIGNATURE_S": 72, "reserved5": 368,
    ])

  /// What the report says. Read through the report itself: `report.policy`.
  package let fields: Fields
  /// R of the signature, 48 bytes, most significant first.
  package let signatureR: [UInt8]
  /// S of the signature, 48 bytes, most significant first.
  package let signatureS: [UInt8]
  /// The report as it came, `size` bytes.
  package let bytes: [UInt8]

  package subscript<Value>(dynamicMember path: KeyPath<Fields, Value>) -> Value {
    fields[keyPath: path]
  }

  /// The bytes the signature covers.
  package var signedBytes: [UInt8] { Array(bytes[..<Self.signedSize]) }

  /// Reads a report and refuses what no firmware signs: see `checkForm`. Says nothing about who
  /// signed it.
  /// - Throws: `REPORT-LENGTH`, `REPORT-VERSION`, and what `checkForm` throws.
  package init(_ bytes: [UInt8]) throws(MigrationError) {
    try self.init(unchecked: bytes)
    try checkForm()
  }

  /// Reads a report of the known length, whatever is in it, so that a tool can show a report it would
  /// refuse. Of a version that is not known the fields are those that all known ones share: newer
  /// versions have only filled in what was reserved.
  /// - Throws: `REPORT-LENGTH`.
  package init(unchecked bytes: [UInt8]) throws(MigrationError) {
    guard bytes.count == Self.size else {
      throw MigrationError(
        .reportLength, "not the length of an attestation report", in: .report,
        expected: "\(Self.size) bytes", got: "\(bytes.count)")
    }
    self.bytes = bytes
    let span = bytes.span
    var cursor = ByteCursor(span)
    fields = try Fields(from: &cursor)
    signatureR = Self.bigEndian(try cursor.take(72))
    signatureS = Self.bigEndian(try cursor.take(72))
  }

  /// The 48 significant bytes of a little-endian half of a signature, most significant first.
  private static func bigEndian(_ half: Span<UInt8>) -> [UInt8] {
    Array([UInt8](copying: half)[..<48].reversed())
  }

  /// A report made of signed bytes and a signature, each number 48 bytes and most significant
  /// first, as ECDSA libraries give them.
  /// - Throws: `INTERNAL` when a length is wrong.
  package init(
    signedBytes: [UInt8], signatureR: [UInt8], signatureS: [UInt8]
  ) throws(MigrationError) {
    guard signedBytes.count == Self.signedSize, signatureR.count == 48, signatureS.count == 48
    else { throw MigrationError(.internal, "a part of a report has the wrong length") }
    let half = [UInt8](repeating: 0, count: 24)
    let tail = [UInt8](repeating: 0, count: Self.size - 0x330)
    try self.init(
      unchecked: signedBytes + signatureR.reversed() + half + signatureS.reversed() + half + tail)
  }
}
