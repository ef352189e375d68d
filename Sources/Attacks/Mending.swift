internal import Bytes
internal import Cryptography
internal import Migration
internal import SVSM

// How each part is mended: by a host, what needs no key; by a rogue source, all of it.
extension Rewriter {
  mutating func mendSession(_ bytes: inout [UInt8], _ body: Int) throws(MigrationError) {
    guard !books.hasBegun else { return }
    if let rogue {
      bytes = Array(bytes[..<body]) + rogue.transferData.encoded + bytes.suffix(5)
    } else if repair == .consistent(.session) {
      put(hostKey.point, in: &bytes, body, TransferData.layout, "source_key")
    }
  }

  mutating func mendPage(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue else { return }
    let body = Int(named.part.body - named.part.start)
    let isCancel = bytes[body + 20] == PageMetadata.Operation.cancel.rawValue
    let input = scene.spaces[named.space]
    var page =
      isCancel ? [] : try rogue.openPage(named.part, of: scene.inputs[input], input: input)
    put(books.lastSequence &+ 1, in: &bytes, body)
    put(books.epoch, in: &bytes, body + 16)
    if isCancel {
      bytes[body + 22] = 0
      bytes.replaceSubrange(body + 24..<body + 32, with: repeatElement(0, count: 8))
    } else {
      var gpa: UInt64 = 0
      for index in 8..<16 { gpa = gpa << 8 | UInt64(bytes[body + index]) }
      let again = books.isPresent(gpa)
      let operation: PageMetadata.Operation = again ? .migrateAgain : .migrate
      bytes[body + 20] = operation.rawValue
    }
    for edit in late where !edit.isAfterTags {
      switch edit.area {
      case .part(let range): try edit.apply(to: &bytes, range)
      case .plaintext(let range): try edit.apply(to: &page, range)
      case .wholePlaintext, .report: break
      }
    }
    let head = Array(bytes[body..<body + PageMetadata.encodedSize])
    var sealer = try rogue.keys.pageSealer()
    let sealed = try sealer.seal(
      page, nonce: AEADNonce(sequence: Self.number(head[0..<8])), associatedData: head)
    let content = sealed.ciphertext + [UInt8](repeating: 0, count: 4096 - sealed.ciphertext.count)
    bytes.replaceSubrange(body + 32..<body + 48 + 4096, with: sealed.tag + content)
  }

  mutating func mendToken(
    _ bytes: inout [UInt8], _ body: Int, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard repair != .none else { return }
    let layout = EpochToken.layout
    put(books.counts.total ?? 0, in: &bytes, body, layout, "records")
    put(books.firstSequence, in: &bytes, body, layout, "first_sequence")
    put(books.counts.migrated, in: &bytes, body, layout, "migrated")
    put(books.counts.migratedAgain, in: &bytes, body, layout, "migrated_again")
    put(books.counts.cancelled, in: &bytes, body, layout, "cancelled")
    put(try books.transcript(), in: &bytes, body, layout, "transcript")
    guard let rogue else { return }
    put(books.epoch, in: &bytes, body, layout, "epoch")
    put(UInt32(books.nextTokenIsLast ? 1 : 0), in: &bytes, body, layout, "flags")
    try applyBeforeTags(late, to: &bytes)
    let token = Array(bytes[body..<body + EpochToken.authenticatedSize])
    let epoch = UInt32(truncatingIfNeeded: Self.number(token[0..<4]))
    put(try rogue.keys.tag(ofToken: token, epoch: epoch), in: &bytes, body, layout, "tag")
  }

  mutating func mendFinal(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue else { return }
    let body = Int(named.part.body - named.part.start)
    let input = scene.spaces[named.space]
    var plaintext = try rogue.openFinal(named.part, of: scene.inputs[input], input: input)
    for edit in late where !edit.isAfterTags {
      if edit.area == .wholePlaintext { plaintext = edit.bytes }
      if case .plaintext(let range) = edit.area { try edit.apply(to: &plaintext, range) }
    }
    let kind: FinalRecord.Kind =
      switch named.part.kind {
      case .vcpu: .vcpu
      case .service: .service
      case .secrets: .secrets
      default: .pageStates
      }
    let record = FinalRecord(
      kind: kind, index: books.final[kind], sequence: books.final.total + 1,
      length: UInt32(plaintext.count))
    put(record.index, in: &bytes, body - 8)
    bytes =
      bytes[..<body] + record.encoded + [UInt8](repeating: 0, count: 16)
      + [UInt8](repeating: 0, count: plaintext.count) + bytes.suffix(5)
    try applyBeforeTags(late, to: &bytes)
    let head = Array(bytes[body..<body + FinalRecord.authenticatedSize])
    var sealer = try rogue.keys.finalSealer()
    let sealed = try sealer.seal(
      plaintext, nonce: AEADNonce(sequence: Self.number(head[8..<16])), associatedData: head)
    bytes.replaceSubrange(
      body + 24..<body + 40 + plaintext.count, with: sealed.tag + sealed.ciphertext)
  }

  mutating func mendCommit(
    _ bytes: inout [UInt8], _ body: Int, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard repair != .none else { return }
    let layout = CommitRecord.layout
    let commit = CommitRecord(
      epochs: UInt32(books.tokens), pageRecords: books.pages, privatePages: books.presentPages,
      final: books.final, transcript: try books.transcript())
    bytes.replaceSubrange(body..<body + CommitRecord.authenticatedSize, with: commit.encoded)
    guard let rogue else { return }
    try applyBeforeTags(late, to: &bytes)
    let signed = Array(bytes[body..<body + CommitRecord.authenticatedSize])
    put(try rogue.keys.tag(ofCommit: signed), in: &bytes, body, layout, "tag")
  }

  mutating func mendSeal(_ bytes: inout [UInt8]) throws(MigrationError) {
    let leaves = try output.finishHashing()
    guard repair != .none else { return }
    let old = bytes
    var trailer: [UInt8] = []
    if let text = trailing() { trailer = try description.text(text) }
    let fields = Seal.layout.fields
    var signer: [UInt8]?
    switch repair {
    case .none, .consistent(.none): signer = nil
    case .consistent(.own), .consistent(.session): signer = hostKey.point
    case .rogue: signer = rogue?.transferData.sourceKey
    case .consistent(.kept):
      guard let field = fields.first(where: { $0.name == "signer" }), old.count >= Seal.layout.size
      else { break }
      signer = Array(old[field.offset..<field.offset + field.size])
    }
    let seal = try Seal(
      coveredLength: output.offset, root: HashTree.root(of: leaves), trailer: trailer,
      signer: signer)
    let message = Seal.Kind.snp.label + seal.encoded
    let signature: [UInt8] =
      switch repair {
      case .none, .consistent(.none): []
      case .consistent(.kept): Array(old.suffix(Seal.signatureSize))
      case .consistent(.own), .consistent(.session): try hostKey.sign(message)
      case .rogue: try rogue?.signSeal(message) ?? []
      }
    bytes = seal.encoded + leaves + signature
  }

  // MARK: Fields

  private func applyBeforeTags(
    _ late: [LateEdit], to bytes: inout [UInt8]
  ) throws(MigrationError) {
    for edit in late where !edit.isAfterTags {
      if case .part(let range) = edit.area { try edit.apply(to: &bytes, range) }
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func put(
    _ value: some FixedWidthInteger & UnsignedInteger, in bytes: inout [UInt8], _ offset: Int
  ) {
    var encoded: [UInt8] = []
    encoded.append(bigEndian: value)
    bytes.replaceSubrange(offset..<offset + encoded.count, with: encoded)
  }

  private func put(
    _ value: some FixedWidthInteger & UnsignedInteger, in bytes: inout [UInt8], _ body: Int,
    _ layout: RecordLayout, _ name: String
  ) {
    guard let field = layout.fields.first(where: { $0.name == name }) else { return }
    put(value, in: &bytes, body + field.offset)
  }

  private func put(
    _ value: [UInt8], in bytes: inout [UInt8], _ body: Int, _ layout: RecordLayout, _ name: String
  ) {
    guard let field = layout.fields.first(where: { $0.name == name }) else { return }
    bytes.replaceSubrange(
      body + field.offset..<body + field.offset + field.size, with: value.prefix(field.size))
  }
}

/// A key that a host makes for itself.
struct HostKey: Sendable {
  private let key: P384.PrivateKey

  init(seed: [UInt8]) throws(MigrationError) {
    key = try P384.PrivateKey(deriving: SHA384.hash(seed + Array("key of the host".utf8)))
  }

  /// The public key: 97 bytes.
  var point: [UInt8] { key.publicKey.bytes }

  /// r and s, 48 bytes each.
  func sign(_ message: [UInt8]) throws(MigrationError) -> [UInt8] {
    try key.signLowS(message: message).raw
  }
}
