internal import Cryptography
internal import Errors
internal import Inspection
internal import JSON
internal import QEMUStream

extension DecodedDevice {
  // MARK: JSON

  func json() throws(MigrationError) -> JSON {
    var members: [JSON.Member] = [
      .init("name", .string(name)), .init("instanceID", JSON(instance)),
      // `instance` is the first name of `instanceID` and is kept for existing readers.
      .init("instance", JSON(instance)), .init("offset", JSON(offset)),
      .init("size", JSON(body.count)), .init("sha256", .hex(bytes: try SHA256.hash(body))),
    ]
    switch state {
    case .success(let state):
      members.append(.init("fields", state.fields))
      members.append(
        .init(
          "described",
          .array(
            state.described.map { part in
              ["path": .string(part.path), "type": .string(part.type), "value": part.value]
            })))
    case .failure(let error): members.append(.init("error", .object(error.jsonMembers)))
    }
    return .object(members)
  }
}
