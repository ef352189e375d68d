internal import Errors
internal import Inspection
internal import JSON
internal import Migration
internal import SEVSNP
internal import SVSM
internal import Wire

/// The final state decrypted with the destination's keys, field by field.
enum DecodedState {
  /// One fact of a secrets page that may be shown. The page's keys and counters are never shown.
  struct Fact {
    var name: String
    var text: String
    var json: JSON
  }

  /// - Parameter page: the restored secrets page.
  static func facts(_ page: [UInt8]) throws(MigrationError) -> [Fact] {
    try SecretsPage(page).members.map { member in
      Fact(
        name: member.key, text: member.value.string ?? member.value.description,
        json: member.value)
    }
  }

  /// Every field of a VMSA page except the reserved ones: numbers and bytes as hex text, segments
  /// as objects.
  static func json(of vcpu: VCPUState) throws(MigrationError) -> JSON {
    let page = try VMSA(vcpu.vmsa)
    return [
      "apicID": JSON(vcpu.apicID), "vmpl": JSON(vcpu.vmpl),
      "sevFeatures": .text(page.features.setBits), "registers": .object(page.members),
    ]
  }

  /// The registers of a `cpu` section, named as in a VMSA.
  static func json(ofCPU section: DecodedDevice) -> JSON {
    var members: [JSON.Member] = [
      .init("instance", JSON(section.instance)), .init("offset", JSON(section.offset)),
    ]
    do throws(MigrationError) {
      let page = try section.registers()
      members.append(
        .init("registers", .object(RegisterText.shared(by: page).map(\.member))))
    } catch {
      members.append(.init("error", .object(error.jsonMembers)))
    }
    return .object(members)
  }
}
