package import JSON

extension VMDescription {
  /// The description as QEMU writes it, key for key: `json.compact` gives the same bytes as QEMU.
  package var json: JSON {
    var members: [JSON.Member] = []
    if let configuration {
      members.append(.init("configuration", .object(configuration.members)))
    }
    if let pageSize { members.append(.init("page_size", JSON(pageSize))) }
    members.append(.init("devices", .array(devices.map(\.json))))
    return .object(members)
  }
}

extension VMDescription.Device {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [
      .init("name", .string(name)), .init("instance_id", JSON(instance)),
    ]
    if body.name == nil {
      members.append(.init("size", JSON(body.fields.reduce(0) { $0 &+ $1.size })))
      // QEMU writes the keys of the field of a hand-written device in another order.
      let fields = body.fields.map { field -> JSON in
        [
          "name": .string(field.name), "size": JSON(field.size), "type": .string(field.type),
        ]
      }
      members.append(.init("fields", .array(fields)))
    } else {
      members += body.members
    }
    return .object(members)
  }
}

extension VMDescription.Body {
  fileprivate var members: [JSON.Member] {
    var members: [JSON.Member] = []
    if let name { members.append(.init("vmsd_name", .string(name))) }
    if let version { members.append(.init("version", JSON(version))) }
    members.append(.init("fields", .array(fields.map(\.json))))
    if !subsections.isEmpty {
      members.append(.init("subsections", .array(subsections.map { .object($0.members) })))
    }
    return members
  }
}

extension VMDescription.Field {
  fileprivate var json: JSON {
    var members: [JSON.Member] = [.init("name", .string(name))]
    switch run {
    case .one: break
    case .array(let count): members.append(.init("array_len", JSON(count)))
    case .element(let index): members.append(.init("index", JSON(index)))
    }
    members.append(.init("type", .string(type)))
    for body in bodies {
      if isNested {
        members.append(.init("struct", .object(body.members)))
      } else {
        // QEMU repeats the keys for each element of a list.
        members += body.members
      }
    }
    members.append(.init("size", JSON(size)))
    return .object(members)
  }
}
