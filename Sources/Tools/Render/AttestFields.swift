internal import JSON
internal import SEVSNP
internal import Wire

/// One field of a report, named as in AMD's table.
struct ReportField {
  var name: String
  /// Bytes from the start of the report.
  var offset: Int
  /// The value as text, on one line or more.
  var lines: [String]
  var json: JSON

  /// All fields except the reserved ones, in the order of the report.
  static func all(of report: AttestationReport) -> [ReportField] {
    AttestationReport.Layout.fields.compactMap { field in
      guard !field.name.hasPrefix("reserved"), let value = value(of: field.name, in: report) else {
        return nil
      }
      return ReportField(
        name: field.name, offset: field.range.lowerBound, lines: value.lines, json: value.json)
    }
  }

  private typealias Value = (lines: [String], json: JSON)

  private static func value(of name: String, in report: AttestationReport) -> Value? {
    switch name {
    case "VERSION": number(report.version)
    case "GUEST_SVN": number(report.guestSVN)
    case "POLICY": policy(report.policy)
    case "FAMILY_ID": bytes(report.familyID)
    case "IMAGE_ID": bytes(report.imageID)
    case "VMPL":
      number(report.vmpl, remark(on: report.fields.requester))
    case "SIGNATURE_ALGO":
      number(report.signatureAlgorithm, report.signatureAlgorithm == 1 ? "ECDSA P-384" : "unknown")
    case "CURRENT_TCB": tcb(report.currentTCB, report)
    case "PLATFORM_INFO": bits(report.platformInfo.rawValue, report.platformInfo.setBits)
    case "KEY_INFO": keyInfo(report.keyInfo)
    case "REPORT_DATA": bytes(report.reportData)
    case "MEASUREMENT": bytes(report.measurement)
    case "HOST_DATA": bytes(report.hostData)
    case "ID_KEY_DIGEST": bytes(report.idKeyDigest)
    case "AUTHOR_KEY_DIGEST": bytes(report.authorKeyDigest)
    case "REPORT_ID": bytes(report.reportID)
    case "REPORT_ID_MA":
      report.fields.hasNoMigrationAgent
        ? (["all ones: no migration agent"], .hex(bytes: report.reportIDMA))
        : bytes(report.reportIDMA)
    case "REPORTED_TCB": tcb(report.reportedTCB, report)
    case "CPUID_FAM_ID":
      report.cpu.map { cpu in
        let product = report.product?.rawValue ?? "unknown product"
        return (["\(Hex.number(cpu.family)): \(product)"], .hex(cpu.family))
      }
    case "CPUID_MOD_ID": report.cpu.map { ([Hex.number($0.model)], .hex($0.model)) }
    case "CPUID_STEP": report.cpu.map { ([Hex.number($0.stepping)], .hex($0.stepping)) }
    case "CHIP_ID":
      report.fields.masksChipID
        ? (["zero: masked"], .hex(bytes: report.chipID)) : bytes(report.chipID)
    case "COMMITTED_TCB": tcb(report.committedTCB, report)
    case "CURRENT_VERSION": text("\(report.currentFirmware)")
    case "COMMITTED_VERSION": text("\(report.committedFirmware)")
    case "LAUNCH_TCB": tcb(report.launchTCB, report)
    case "LAUNCH_MIT_VECTOR": report.launchMitigations.map { ([Hex.number($0)], .hex($0)) }
    case "CURRENT_MIT_VECTOR": report.currentMitigations.map { ([Hex.number($0)], .hex($0)) }
    case "SIGNATURE_R": bytes(report.signatureR)
    case "SIGNATURE_S": bytes(report.signatureS)
    default: nil
    }
  }

  private static func remark(on requester: AttestationReport.Fields.Requester) -> String? {
    switch requester {
    case .guest: nil
    case .host: "asked for by the host, speaks for no guest"
    case .nobody: "no guest's level"
    }
  }

  private static func number(_ value: UInt32, _ meaning: String? = nil) -> Value {
    (["\(value)" + (meaning.map { ": \($0)" } ?? "")], JSON(value))
  }

  private static func text(_ value: String) -> Value { ([value], .string(value)) }

  /// The bytes in hex, 32 bytes on each line.
  private static func bytes(_ value: [UInt8]) -> Value {
    let lines = stride(from: 0, to: value.count, by: 32).map { start in
      Hex.encode(value[start..<min(start + 32, value.count)])
    }
    return (value.allSatisfy { $0 == 0 } ? ["zero"] : lines, .hex(bytes: value))
  }

  private static func bits(_ value: UInt64, _ names: [String]) -> Value {
    (
      ["\(Hex.number(value)): \(Spelled.list(names))"],
      ["value": .hex(value), "bits": .text(names)]
    )
  }

  private static func policy(_ policy: GuestPolicy) -> Value {
    (
      [policy.text],
      [
        "value": .hex(policy.rawValue), "abiMajor": JSON(policy.abiMajor),
        "abiMinor": JSON(policy.abiMinor), "bits": .text(policy.setBits),
      ]
    )
  }

  private static func keyInfo(_ info: KeyInfo) -> Value {
    let signer = info.signer.map { "\($0)" } ?? "none"
    let also =
      (info.hasAuthorKey ? ", author key" : "") + (info.masksChipKey ? ", chip key masked" : "")
    let signing = info.isUnsigned ? "not signed" : "signed by \(info.signer.map { "\($0)" } ?? "?")"
    return (
      ["\(Hex.number(info.rawValue)): \(signing)\(also)"],
      [
        "value": .hex(info.rawValue), "signer": .string(signer),
        "authorKey": .bool(info.hasAuthorKey), "maskChipKey": .bool(info.masksChipKey),
      ]
    )
  }

  private static func tcb(_ version: TCBVersion, _ report: AttestationReport) -> Value {
    guard let product = report.layoutProduct else {
      return ([version.hex + ": layout not known"], ["value": .string(version.hex)])
    }
    let parts = version.components(for: product)
    var members: [JSON.Member] = [.init("value", .string(version.hex))]
    for level in TCBVersion.Level.allCases {
      if let number = parts[level] { members.append(.init(level.rawValue, JSON(number))) }
    }
    return (["\(version.hex): \(parts)"], .object(members))
  }
}
