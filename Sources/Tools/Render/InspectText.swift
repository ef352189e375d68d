internal import Cryptography
internal import Errors
internal import Guest
internal import Import
internal import Inspection
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// The parts of an inspection that were asked for. Without any, text has the overview.
struct InspectionParts {
  var sections = false
  /// Lists only these sections, with their bytes.
  var section: SectionQuery?
  var pages = false
  var epochs = false
  var devices = false
  var cpus = false
  var blocks = false
  /// Shows long values in full.
  var isFull = false

  /// Whether a section is to be listed.
  func lists(_ header: SectionHeader) -> Bool { section?.matches(header) ?? true }

  var hasAny: Bool { sections || section != nil || pages || epochs || devices || cpus || blocks }
}

/// An inspection as text.
struct InspectionText {
  /// Receives the text, piece by piece.
  typealias Write = (String) throws(MigrationError) -> Void

  /// Most runs of each list that an overview shows.
  private static let overviewRuns = 16

  let found: InspectedStream
  let parts: InspectionParts
  let style: Style
  var out = RenderedText()
  private(set) var hasTitle = false

  static func render(
    _ found: InspectedStream, _ parts: InspectionParts, style: Style, write: Write
  ) throws(MigrationError) {
    var renderer = InspectionText(found: found, parts: parts, style: style)
    if parts.hasAny || found.page != nil {
      try renderer.requested(write)
    } else {
      try renderer.overview()
      if let state = found.state { try renderer.state(state, write) }
      renderer.next()
    }
    // Missing pages are noticed at the end.
    if let refusal = found.refusal, refusal.code != .ramMissing {
      renderer.out.line()
      renderer.out.line("Reading stopped here; the rest of the file was not read.")
    }
    try write(renderer.out.takeText())
  }

  private init(found: InspectedStream, parts: InspectionParts, style: Style) {
    self.found = found
    self.parts = parts
    self.style = style
  }

  mutating func title(_ text: String) {
    if hasTitle { out.line() }
    hasTitle = true
    out.line(text, as: style.strong)
  }

  // MARK: Overview

  private mutating func overview() throws(MigrationError) {
    summary()
    hasTitle = true
    if let data = found.transferData { try session(data) }
    if !found.blocks.isEmpty { blocks() }
    if found.hasMap { map() }
    if found.epochs.count > 0 { epochs() }
    memory()
    found.confidential?.show(&out, style)
    finalState()
    try ending()
  }

  private mutating func session(_ data: TransferData) throws(MigrationError) {
    title("Session")
    out.field("protocol", "version \(data.suite.version), \(data.suite.names)", indent: 2)
    let proof =
      data.flags.contains(.mutual)
      ? "mutual: the source shows an attestation report"
      : "one-way: the source has no attestation report"
    out.field("attestation", proof, indent: 2)
    if data.flags.contains(.seeded) {
      out.field("keys", "made from a seed: not secret", indent: 2)
    }
    out.field("answers offer", "SHA-384 \(Spelled.short(data.offerDigest))", indent: 2)
    out.field(
      "source key", "P-384, SHA-256 \(Spelled.short(try SHA256.hash(data.sourceKey)))", indent: 2)
    guard data.flags.contains(.mutual) else { return }
    guard let report = try? AttestationReport(unchecked: data.report) else {
      out.field("source report", "not a report of a known version", indent: 2)
      return
    }
    let product = report.product
    out.field(
      "source report",
      "version \(report.version), \(product?.rawValue ?? "unknown product"), chip "
        + "\(Spelled.short(report.chipID)), VMPL \(report.vmpl)", indent: 2)
    out.field("", "policy \(report.policy.text)", indent: 2)
    let tcb = product.map { "\(report.reportedTCB.components(for: $0))" } ?? report.reportedTCB.hex
    out.field("", "TCB \(tcb)", indent: 2)
    out.field("", "not checked here: svsm-mig-verify checks it", indent: 2)
  }

  mutating func blocks() {
    title("RAM blocks")
    out.table(
      found.blocks.enumerated().map { index, block in
        ["\(index)", block.name, Hex.number(block.length), Spelled.bytes(block.length)]
          + (found.memory.indices.contains(index) ? [content(of: found.memory[index])] : [])
      })
  }

  private func content(of memory: BlockMemory) -> String {
    if let hash = memory.hash { return "SHA-256 \(Hex.encode(hash))" }
    return memory.missingPages > 0
      ? "\(Spelled.count(memory.missingPages, "page")) missing"
      : "not hashed: \(Spelled.bytes(memory.unhashedZeros)) are zeros that are not stored"
  }

  private mutating func map() {
    title("Guest-physical map")
    out.table(
      limited(found.map.ranges, omitted: 0) { range in
        [
          Spelled.range(range.gpa, pages: range.size / 4096),
          "\(blockName(range.block)) from \(Hex.number(range.offset))",
          Spelled.bytes(range.size),
        ]
      })
  }

  private mutating func epochs() {
    title("Epochs")
    out.table(
      limited(found.epochs.elements, omitted: found.epochs.omitted) { token in
        let total = token.counts.total ?? 0
        let last = token.firstSequence &+ total &- 1
        return [
          "\(token.epoch)", token.counts.description,
          total == 0 ? "no records" : "sequence \(token.firstSequence) to \(last)",
          token.isLast ? "last" : "",
        ]
      })
  }

  private mutating func memory() {
    if found.kind == .snp, found.hasMap {
      let pages = found.privatePages
      title("Private pages")
      out.field(
        "present", "\(Spelled.count(pages.pages, "page")), \(Spelled.bytes(pages.pages &* 4096))",
        indent: 2)
      out.field("records", pages.counts.description, indent: 2)
      let first = pages.runs.elements.filter { $0.operation == .migrate }
      out.table(
        limited(first, omitted: pages.runs.omitted) { run in
          [Spelled.range(run.gpa, pages: run.pages), Spelled.count(run.pages, "page")]
        })
    }
    guard !found.blocks.isEmpty else { return }
    title(found.kind == .snp ? "Shared pages" : "RAM pages")
    let shared = found.sharedPages
    if shared.page != .x86 {
      out.field("size", Spelled.bytes(UInt64(shared.page.size)), indent: 2)
    }
    let size = Spelled.bytes(shared.content &<< shared.page.bits)
    out.field("with content", "\(Spelled.count(shared.content, "page")), \(size)", indent: 2)
    out.field("zero", Spelled.count(shared.zero, "page"), indent: 2)
    for channel in found.channels { show(channel) }
  }

  private mutating func finalState() {
    if found.finals.count > 0 {
      title("Final state")
      out.table(
        limited(found.finals.elements, omitted: found.finals.omitted) { entry in
          [
            "\(entry.record.kind.row.name) \(entry.record.index)", "\(entry.record.length) bytes",
            "at byte \(Hex.number(entry.offset))",
          ]
        })
    }
    guard let commit = found.commit else { return }
    title("Commit")
    out.field(
      "memory",
      "\(Spelled.count(commit.epochs, "epoch")), "
        + "\(Spelled.count(commit.pageRecords, "page record")), "
        + "\(Spelled.count(commit.privatePages, "private page"))", indent: 2)
    let final = commit.final
    out.field(
      "state",
      "\(Spelled.count(final[.vcpu], "vCPU")), "
        + "\(Spelled.count(final[.service], "service")), "
        + "\(Spelled.count(final[.secrets], "secrets page")), "
        + "\(Spelled.count(final[.pageStates], "part")) of the page-state map", indent: 2)
    out.field("transcript", "SHA-384 \(Spelled.short(commit.transcript))", indent: 2)
  }

  private func signature(of seal: Seal) throws(MigrationError) -> String {
    guard let signer = seal.signer else { return "no" }
    let whose =
      found.kind == .snp
      ? "the session's source" : "the key with SHA-256 \(Hex.encode(try SHA256.hash(signer)))"
    return "by \(whose); the signature is good"
  }

  private mutating func ending() throws(MigrationError) {
    if let seal = found.seal {
      title("Seal")
      out.field(
        "covers",
        "\(Spelled.bytes(seal.coveredLength)) in \(Spelled.count(seal.chunkCount, "chunk"))",
        indent: 2)
      out.field("root", "SHA-256 \(Hex.encode(seal.root))", indent: 2)
      out.field("signed", try signature(of: seal), indent: 2)
      out.field("bytes", "not hashed here: svsm-mig-verify checks them", indent: 2)
    }
    if let header = found.unread {
      title("Not read")
      out.field(
        "from",
        "section \(header.name) at byte \(Hex.number(header.offset)): its end is unknown, as the "
          + "stream has no footers and no description", indent: 2)
    }
    if !found.commands.isEmpty {
      title("Commands")
      out.line("  " + Spelled.list(found.commands.map(\.code.name)))
    }
    if !found.undescribed.isEmpty {
      title("Sections without description")
      out.line("  " + Spelled.list(found.undescribed.map { "\($0.name) \($0.instance)" }))
    }
    guard let size = found.descriptionSize else { return }
    title("VM description")
    let devices = found.description.map { Spelled.count($0.devices.count, "section") }
    out.field(
      "text", "\(Spelled.bytes(UInt64(size))), describes \(devices ?? "nothing")", indent: 2)
  }

  // MARK: Helpers

  func blockName(_ index: Int) -> String {
    found.blocks.indices.contains(index) ? found.blocks[index].name : "block \(index)"
  }

  /// The first rows of a list, and one row with the number of the others.
  func limited<Element>(
    _ elements: [Element], omitted: UInt64, _ row: (Element) -> [String]
  ) -> [[String]] {
    var rows = elements.prefix(Self.overviewRuns).map(row)
    let left = UInt64(elements.count - rows.count) + omitted
    if left > 0 { rows.append(["… \(left) more"]) }
    return rows
  }

  /// Shows a whole list. Its rows are made one by one, first for the widths of the columns and then for
  /// the text, since thousands of them should not be in memory.
  /// - Parameters:
  ///   - heads: the first row, if there is one of heads.
  ///   - row: returns nil for an element that is not shown.
  mutating func table<Element>(
    _ heads: [String]?, of elements: some Sequence<Element>, omitted: UInt64 = 0, _ write: Write,
    row: (Element) -> [String]?
  ) throws(MigrationError) {
    var columns = RenderedText.Columns()
    if let heads { columns.fit(heads) }
    for element in elements {
      if let cells = row(element) { columns.fit(cells) }
    }
    if let heads { out.row(heads, in: columns) }
    for element in elements {
      guard let cells = row(element) else { continue }
      out.row(cells, in: columns)
      try flush(write)
    }
    more(omitted)
  }

  /// Passes text on when there is enough of it.
  mutating func flush(_ write: Write) throws(MigrationError) {
    if out.size > 64 << 10 { try write(out.takeText()) }
  }

  mutating func more(_ omitted: UInt64) {
    if omitted > 0 { out.line("  … \(omitted) more") }
  }
}
