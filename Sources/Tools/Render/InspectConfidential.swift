internal import JSON
internal import QEMUStream
internal import Wire

/// The facts about a confidential guest in a stream of a fork of QEMU, as text and as JSON.
extension ConfidentialFacts {
  /// Most rows shown of each table.
  private static let rows = 16

  func show(_ out: inout RenderedText, _ style: Style) {
    guard let dialect else { return }
    out.line()
    out.line("Confidential guest", as: style.strong)
    out.field("dialect", "\(dialect.rawValue): \(dialect.title)", indent: 2)
    if let session {
      out.field(
        "policy",
        "\(Hex.number(session.policy.rawValue, digits: 8)): \(Spelled.list(session.policy.setBits))",
        indent: 2)
      out.field(
        "session",
        "certificate of \(session.certificateSize) bytes, session of \(session.sessionSize) bytes, "
          + "at byte \(Hex.number(session.offset))", indent: 2)
    }
    if bundles > 0 { out.field("bundles", "\(bundles)", indent: 2) }
    out.field("encrypted pages", pages.text, indent: 2)
    if regionCount > 0 {
      out.field(
        "shared regions",
        "\(regionCount), \(Spelled.count(regionPages, "page"))", indent: 2)
      out.table(
        regions.prefix(Self.rows).map {
          [Spelled.range(UInt64($0.first) << 12, pages: UInt64($0.end &- $0.first))]
        }, indent: 4)
    }
    tables(&out, style)
  }

  private func tables(_ out: inout RenderedText, _ style: Style) {
    if epochCount > 0 {
      out.line()
      out.line("Epochs", as: style.strong)
      out.table(
        epochs.prefix(Self.rows).map { epoch in
          [
            epoch.number == .max ? "start" : "\(epoch.number)",
            Spelled.count(epoch.pages, "page record"), "\(epoch.totalBundles) bundles so far",
            "at byte \(Hex.number(epoch.offset))",
          ]
        })
      let left = epochCount - UInt64(min(epochs.count, Self.rows))
      if left > 0 { out.line("  … \(left) more") }
    }
    guard !cpuStates.isEmpty else { return }
    out.line()
    out.line("Encrypted CPU states", as: style.strong)
    out.table(
      cpuStates.prefix(Self.rows).map { state in
        [
          state.index.map { "vCPU \($0)" } ?? "all vCPUs", Spelled.bytes(state.size),
          "at byte \(Hex.number(state.offset))",
        ]
      })
    if cpuStates.count > Self.rows { out.line("  … \(cpuStates.count - Self.rows) more") }
  }

  /// Nil for a stream without a confidential guest.
  var json: JSON? {
    guard let dialect else { return nil }
    return [
      "dialect": .string(dialect.rawValue), "session": session?.json ?? .null,
      "bundles": JSON(bundles), "pages": pages.json,
      "sharedRegions": [
        "count": JSON(regionCount), "pages": JSON(regionPages),
        "list": .array(
          regions.map {
            ["gpa": .hex(UInt64($0.first) << 12), "end": .hex(UInt64($0.end) << 12)]
          }),
      ],
      "epochs": .array(
        epochs.map { epoch in
          [
            "epoch": JSON(epoch.number), "start": .bool(epoch.number == .max),
            "pages": JSON(epoch.pages), "totalBundles": JSON(epoch.totalBundles),
            "offset": JSON(epoch.offset),
          ]
        }), "epochsOmitted": JSON(epochCount - UInt64(epochs.count)),
      "cpuStates": .array(
        cpuStates.map { state in
          [
            "index": state.index.map { JSON($0) } ?? .null, "size": JSON(state.size),
            "offset": JSON(state.offset),
          ]
        }),
    ]
  }
}

extension ConfidentialFacts.Session {
  fileprivate var json: JSON {
    [
      "policy": .string(Hex.number(policy.rawValue, digits: 8)),
      "policyBits": .text(policy.setBits), "certificateSize": JSON(certificateSize),
      "sessionSize": JSON(sessionSize), "offset": JSON(offset),
    ]
  }
}

extension ConfidentialFacts.Pages {
  fileprivate var text: String {
    var text = "\(Spelled.count(distinct, "page")), \(Spelled.count(records, "record"))"
    if again > 0 { text += ", \(again) of pages sent before" }
    if batches > 0 { text += batches == 1 ? ", in 1 batch" : ", in \(batches) batches" }
    if shared > 0 { text += ", \(shared) in clear" }
    if cancelled > 0 { text += ", \(cancelled) withdrawn" }
    if skipped > 0 { text += ", \(skipped) not exported" }
    return text
  }

  fileprivate var json: JSON {
    [
      "records": JSON(records), "distinct": JSON(distinct), "again": JSON(again),
      "batches": JSON(batches), "shared": JSON(shared), "cancelled": JSON(cancelled),
      "skipped": JSON(skipped),
    ]
  }
}
