internal import Cryptography
internal import Errors
internal import JSON
internal import SEVSNP
internal import SVSM
internal import Wire

/// The guest's final state as members of an inspection.
extension InspectionJSON {
  /// Writes them one by one: there may be millions of runs of page states.
  func write(_ state: RestoredState, to output: inout JSONStream) throws(MigrationError) {
    var vcpus = state.guest.vcpus[...]
    try output.append("vcpus") { () throws(MigrationError) in
      guard let vcpu = vcpus.popFirst() else { return nil }
      return try DecodedState.json(of: vcpu)
    }
    var services: [JSON] = []
    for service in state.guest.services {
      services.append([
        "kind": .string(service.kind.name), "mandatory": .bool(service.isMandatory),
        "version": JSON(service.version), "generation": JSON(service.generation),
        "size": JSON(service.blob.count), "sha256": .hex(bytes: try SHA256.hash(service.blob)),
      ])
    }
    try output.append(.init("services", .array(services)))
    try output.append("pageStates", of: state.guest.pageStates.runs) { run in
      [
        "gpa": .hex(run.gpa), "pages": JSON(run.pages), "state": .string(run.state.text),
        "rmpSize": .string(run.size.text),
        "permissions": .string(Hex.number(UInt64(run.permissions.rawValue), digits: 8)),
      ]
    }
    var secrets: JSON = .null
    if let page = state.secretsPage {
      secrets = .object(
        [.init("gpa", .hex(page.gpa))]
          + (try DecodedState.facts(page.page).map { .init($0.name, $0.json) }))
    }
    try output.append(.init("secretsPage", secrets))
  }
}
