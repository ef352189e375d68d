package import Errors
internal import SEVSNP
package import Wire

/// One vCPU inside a final record.
package enum VCPUPlaintext {
  /// Big-endian; the VMSA keeps AMD's layout.
  ///
  ///     offset  size  field
  ///          0     4  apic_id   unique in the guest
  ///          4     1  vmpl      privilege level the guest runs at, 1 to 3
  ///          5    11  reserved  zero
  ///         16  4096  vmsa      the page
  package static let layout = RecordLayout(
    "vcpu", ["apic_id": 4, "vmpl": 1, "reserved": 11, "vmsa": 4096])

  static func encode(_ vcpu: VCPUState) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: vcpu.apicID)
    bytes.append(vcpu.vmpl)
    bytes += [UInt8](repeating: 0, count: 11)
    bytes += vcpu.vmsa
    return bytes
  }

  static func decode(_ bytes: Span<UInt8>) throws(MigrationError) -> VCPUState {
    var cursor = ByteCursor(bytes)
    let apicID = try cursor.read(UInt32.self)
    let vmpl = try cursor.read(UInt8.self)
    let reserved = try cursor.takeArray(11)
    guard reserved.allSatisfy({ $0 == 0 }) else {
      throw MigrationError(.vcpuSyntax, "vCPU record is not well formed")
    }
    return try VCPUState(apicID: apicID, vmpl: vmpl, vmsa: try cursor.takeArray(4096))
  }
}

/// One service inside a final record.
package enum ServicePlaintext {
  /// Big-endian; the blob follows.
  ///
  ///     offset  size  field
  ///          0     2  kind        1 vTPM, 2 machine; from 0x8000 private use
  ///          2     2  flags       bit 0: mandatory
  ///          4     4  version     of the blob's own format
  ///          8     8  generation  rises with each migration
  ///         16     4  length      bytes of the blob, at most 16 MiB
  ///         20     4  reserved    zero
  package static let layout = RecordLayout(
    "service",
    ["kind": 2, "flags": 2, "version": 4, "generation": 8, "length": 4, "reserved": 4])

  static let headerSize = 24

  static func encode(_ service: ServiceState) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerSize + service.blob.count)
    bytes.append(bigEndian: service.kind.rawValue)
    bytes.append(bigEndian: UInt16(service.isMandatory ? 1 : 0))
    bytes.append(bigEndian: service.version)
    bytes.append(bigEndian: service.generation)
    bytes.append(bigEndian: UInt32(service.blob.count))
    bytes.append(bigEndian: UInt32(0))
    bytes += service.blob
    return bytes
  }

  static func decode(_ bytes: Span<UInt8>) throws(MigrationError) -> ServiceState {
    var cursor = ByteCursor(bytes)
    let kind = ServiceState.Kind(rawValue: try cursor.read())
    let flags = try cursor.read(UInt16.self)
    let version = try cursor.read(UInt32.self)
    let generation = try cursor.read(UInt64.self)
    let length = try cursor.read(UInt32.self)
    let reserved = try cursor.read(UInt32.self)
    guard flags & ~1 == 0, reserved == 0, cursor.remaining == Int(length) else {
      throw MigrationError(.serviceSyntax, "service record is not well formed")
    }
    return try ServiceState(
      kind: kind, isMandatory: flags == 1, version: version, generation: generation,
      blob: try cursor.takeArray(Int(length)))
  }
}

extension FinalRecord.Kind {
  /// Whether a piece of this kind can have `count` bytes. A ciphertext is as long as its plaintext: who
  /// has no key knows that too.
  /// - Throws: `VCPU-SYNTAX`, `SECRETS-PAGE`; `STREAM-TRUNCATED` for a piece that ends inside of a part.
  package func requireLength(_ count: Int) throws(MigrationError) {
    func refusal(_ code: ErrorCode, _ what: String, _ expected: String) -> MigrationError {
      MigrationError(code, what, expected: "\(expected) bytes", got: "\(count)")
    }
    switch self {
    case .vcpu:
      let size = VCPUPlaintext.layout.size
      if count != size { throw refusal(.vcpuSyntax, "vCPU record has another length", "\(size)") }
    case .service:
      let size = ServicePlaintext.headerSize
      if count < size {
        throw refusal(.streamTruncated, "service ends in its fixed part", "at least \(size)")
      }
    case .secrets:
      let size = SecretsPlaintext.layout.size
      if count != size {
        throw refusal(
          .secretsPage, "record of the secrets page has another length", "\(size)")
      }
    case .pageStates:
      let size = PageStateMap.runLayout.size
      if count % size != 0 {
        throw refusal(.streamTruncated, "page states end inside of a run", "a multiple of \(size)")
      }
    }
  }
}
