internal import Cryptography
internal import Errors
internal import Migration
internal import SVSM
internal import Wire

// How each part is mended: by a host, what needs no key; by a rogue source, all of it.
extension Rewriter {
  mutating func mendSession(_ bytes: inout [UInt8], _ body: Int) throws(MigrationError) {
    guard !books.hasBegun else { return }
    if let rogue {
      bytes =
        bytes[..<body] + rogue.transferData.encoded + bytes.suffix(Int(Anatomy.Part.footerSize))
    } else if repair == .consistent(.session) {
      put(hostKey.point, in: &bytes, body, TransferData.layout["source_key"])
    }
  }

  mutating func mendPage(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue else { return }
    let body = Int(named.part.body - named.part.start)
    let layout = PageMetadata.recordLayout
    let operation = body + layout["operation"].lowerBound
    let isCancel = bytes[operation] == PageMetadata.Operation.cancel.rawValue
    let input = scene.spaces[named.space]
    var page =
      isCancel ? [] : try rogue.openPage(named.part, of: scene.inputs[input], input: input)
    put(books.lastSequence &+ 1, in: &bytes, body, layout["sequence"])
    put(books.epoch, in: &bytes, body, layout["epoch"])
    if isCancel {
      put(UInt8(0), in: &bytes, body, layout["validated"])
      put(UInt32(0), in: &bytes, body, layout["vmpl_permissions"])
      put(UInt32(0), in: &bytes, body, layout["length"])
    } else {
      let gpa = UInt64(bigEndianBytes: bytes[layout["gpa"].moved(by: body)])
      let again = books.isPresent(gpa)
      let says: PageMetadata.Operation = again ? .migrateAgain : .migrate
      bytes[operation] = says.rawValue
    }
    for edit in late where !edit.isAfterTags {
      switch edit.area {
      case .part(let range): try apply(edit, to: &bytes, range)
      case .plaintext(let range): try apply(edit, to: &page, range)
      case .wholePlaintext, .report: break
      }
    }
    let head = Array(bytes[body..<body + PageMetadata.encodedSize])
    var sealer = try rogue.keys.pageSealer()
    let sealed = try sealer.seal(
      page, nonce: AEADNonce(sequence: UInt64(bigEndianBytes: head[layout["sequence"]])),
      associatedData: head)
    put(sealed.tag, in: &bytes, body, layout["tag"])
    let padding = PageMetadata.pageSize - sealed.ciphertext.count
    put(
      sealed.ciphertext + [UInt8](repeating: 0, count: padding), in: &bytes, body,
      layout["content"])
  }

  mutating func mendToken(
    _ bytes: inout [UInt8], _ body: Int, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard repair != .none else { return }
    let layout = EpochToken.layout
    put(books.counts.total ?? 0, in: &bytes, body, layout["records"])
    put(books.firstSequence, in: &bytes, body, layout["first_sequence"])
    put(books.counts.migrated, in: &bytes, body, layout["migrated"])
    put(books.counts.migratedAgain, in: &bytes, body, layout["migrated_again"])
    put(books.counts.cancelled, in: &bytes, body, layout["cancelled"])
    put(try books.transcript(), in: &bytes, body, layout["transcript"])
    guard let rogue else { return }
    put(books.epoch, in: &bytes, body, layout["epoch"])
    put(UInt32(books.nextTokenIsLast ? 1 : 0), in: &bytes, body, layout["flags"])
    try applyBeforeTags(late, to: &bytes)
    let token = Array(bytes[body..<body + EpochToken.authenticatedSize])
    let epoch = UInt32(truncatingIfNeeded: UInt64(bigEndianBytes: token[layout["epoch"]]))
    put(try rogue.keys.tag(ofToken: token, epoch: epoch), in: &bytes, body, layout["tag"])
  }

  mutating func mendFinal(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue else { return }
    let body = Int(named.part.body - named.part.start)
    let input = scene.spaces[named.space]
    var plaintext = try rogue.openFinal(named.part, of: scene.inputs[input], input: input)
    for edit in late where !edit.isAfterTags {
      if edit.area == .wholePlaintext {
        isEdited = isEdited || plaintext != edit.bytes
        plaintext = edit.bytes
      }
      if case .plaintext(let range) = edit.area { try apply(edit, to: &plaintext, range) }
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
    // A section's header ends with its instance and its version.
    put(record.index, in: &bytes, body, -8..<(-4))
    let layout = FinalRecord.layout
    let room = [UInt8](repeating: 0, count: layout["tag"].count + plaintext.count)
    bytes =
      bytes[..<body] + record.encoded + room + bytes.suffix(Int(Anatomy.Part.footerSize))
    try applyBeforeTags(late, to: &bytes)
    let head = Array(bytes[body..<body + FinalRecord.authenticatedSize])
    var sealer = try rogue.keys.finalSealer()
    let sealed = try sealer.seal(
      plaintext, nonce: AEADNonce(sequence: UInt64(bigEndianBytes: head[layout["sequence"]])),
      associatedData: head)
    put(sealed.tag, in: &bytes, body, layout["tag"])
    put(sealed.ciphertext, in: &bytes, body, layout.size..<layout.size + plaintext.count)
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
    put(try rogue.keys.tag(ofCommit: signed), in: &bytes, body, layout["tag"])
  }

  mutating func mendSeal(_ bytes: inout [UInt8]) throws(MigrationError) {
    let leaves = try output.finishHashing()
    guard repair != .none else { return }
    let old = bytes
    var trailer: [UInt8] = []
    if let text = trailing() { trailer = try description.text(text) }
    var signer: [UInt8]?
    switch repair {
    case .none, .consistent(.none): signer = nil
    case .consistent(.own), .consistent(.session): signer = hostKey.point
    case .rogue: signer = rogue?.transferData.sourceKey
    case .consistent(.kept):
      guard old.count >= Seal.layout.size else { break }
      signer = Array(old[Seal.layout["signer"]])
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
    bytes = seal.encoded + leaves.encoded + signature
  }

  // MARK: Fields

  private mutating func applyBeforeTags(
    _ late: [LateEdit], to bytes: inout [UInt8]
  ) throws(MigrationError) {
    for edit in late where !edit.isAfterTags {
      if case .part(let range) = edit.area { try apply(edit, to: &bytes, range) }
    }
  }

  /// Writes a number over a field of the record that begins at `body`.
  private func put(
    _ value: some FixedWidthInteger & UnsignedInteger, in bytes: inout [UInt8], _ body: Int,
    _ field: Range<Int>
  ) {
    var encoded: [UInt8] = []
    encoded.append(bigEndian: value)
    put(encoded, in: &bytes, body, field)
  }

  private func put(
    _ value: [UInt8], in bytes: inout [UInt8], _ body: Int, _ field: Range<Int>
  ) {
    bytes.replaceSubrange(field.moved(by: body), with: value)
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
