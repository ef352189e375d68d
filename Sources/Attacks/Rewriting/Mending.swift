internal import Cryptography
internal import Errors
internal import Migration
internal import SVSM
internal import Wire

// Repair of each part: a host repairs what needs no key, and a rogue source repairs everything.
extension Rewriter {
  mutating func mendSession(_ bytes: inout [UInt8], _ body: Int) throws(MigrationError) {
    guard !books.hasBegun else { return }
    if let rogue {
      bytes =
        bytes[..<body] + rogue.transferData.encoded + bytes.suffix(Int(Anatomy.Part.footerSize))
    } else if repair == .consistent(.session) {
      bytes[\TransferData.Layout.sourceKey, at: body].array = hostKey.point
    }
  }

  mutating func mendPage(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue else { return }
    let body = Int(named.part.body - named.part.start)
    var metadata = bytes[\PageMetadata.Layout.metadata, at: body]
    let isCancel = metadata.operation.value == PageMetadata.Operation.cancel.rawValue
    let input = scene.spaces[named.space]
    var page =
      isCancel ? [] : try rogue.openPage(named.part, of: scene.inputs[input], input: input)
    metadata.sequence.value = books.position.sequence
    metadata.epoch.value = books.position.epoch
    if isCancel {
      metadata.validated.value = 0
      metadata.vmplPermissions.value = 0
      metadata.length.value = 0
    } else {
      let again = try books.isPresent(metadata.gpa.value)
      let says: PageMetadata.Operation = again ? .migrateAgain : .migrate
      metadata.operation.value = says.rawValue
    }
    bytes[\PageMetadata.Layout.metadata, at: body] = metadata
    for edit in late where !edit.isAfterTags {
      switch edit.area {
      case .part(let range): try apply(edit, to: &bytes, range)
      case .plaintext(let range): try apply(edit, to: &page, range)
      case .wholePlaintext, .report: break
      }
    }
    metadata = bytes[\PageMetadata.Layout.metadata, at: body]
    var sealer = try rogue.keys.pageSealer()
    let sealed = try sealer.seal(
      page, nonce: AEADNonce(sequence: metadata.sequence.value), associatedData: metadata.bytes)
    let padding = [UInt8](repeating: 0, count: Page.size - sealed.ciphertext.count)
    bytes[\PageMetadata.Layout.tag, at: body].array = sealed.tag
    bytes[\PageMetadata.Layout.content, at: body].array = sealed.ciphertext + padding
  }

  mutating func mendToken(
    _ bytes: inout [UInt8], _ body: Int, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard repair != .none else { return }
    var token = EpochToken.Layout(at: body, of: bytes.span)
    token.records.value = books.position.counts.total ?? 0
    token.firstSequence.value = books.position.firstSequence
    token.migrated.value = books.position.counts.migrated
    token.migratedAgain.value = books.position.counts.migratedAgain
    token.cancelled.value = books.position.counts.cancelled
    token.transcript.array = try books.transcript()
    if rogue != nil {
      token.epoch.value = books.position.epoch
      token.flags.value = books.nextTokenIsLast ? 1 : 0
    }
    bytes.put(token, at: body)
    guard let rogue else { return }
    try applyBeforeTags(late, to: &bytes)
    token = EpochToken.Layout(at: body, of: bytes.span)
    token.tag.array = try rogue.keys.tag(
      ofToken: token.bytes(before: \.tag), epoch: token.epoch.value)
    bytes.put(token, at: body)
  }

  /// Makes a final record of `bytes`, the header and the footer of its section.
  mutating func mendFinal(
    _ bytes: inout [UInt8], _ named: NamedPart, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard let rogue, case .final(let kind) = named.part.kind else { return }
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
    let record = FinalRecord(
      kind: kind, index: books.position.final[kind], sequence: books.position.final.total + 1,
      length: UInt32(plaintext.count))
    bytes[\Anatomy.HeaderEnd.instance, at: body - Anatomy.HeaderEnd.size].value = record.index
    let footer = Array(bytes.suffix(Int(Anatomy.Part.footerSize)))
    let tag = FinalRecord.Layout.range(of: \.tag).moved(by: body)
    // A service may be large: it is sealed in place.
    bytes.removeLast(footer.count)
    bytes.reserveCapacity(tag.upperBound + plaintext.count + footer.count)
    bytes += record.encoded
    bytes.append(contentsOf: repeatElement(0, count: tag.count + plaintext.count))
    bytes += footer
    try applyBeforeTags(late, to: &bytes)
    let head = FinalRecord.Layout(at: body, of: bytes.span)
    var sealer = try rogue.keys.finalSealer()
    var span = bytes.mutableSpan
    try sealer.seal(
      plaintext.span, nonce: AEADNonce(sequence: head.sequence.value), in: &span,
      associatedData: body..<tag.lowerBound, tag: tag.lowerBound, ciphertext: tag.upperBound)
  }

  mutating func mendCommit(
    _ bytes: inout [UInt8], _ body: Int, _ late: [LateEdit]
  ) throws(MigrationError) {
    guard repair != .none else { return }
    let commit = CommitRecord(
      epochs: books.tokens, pageRecords: books.position.records, privatePages: books.presentPages,
      final: books.position.final, transcript: try books.transcript())
    bytes.replaceSubrange(
      body..<body + CommitRecord.Layout.offset(of: \.tag), with: commit.encoded)
    guard let rogue else { return }
    try applyBeforeTags(late, to: &bytes)
    var record = CommitRecord.Layout(at: body, of: bytes.span)
    record.tag.array = try rogue.keys.tag(ofCommit: record.bytes(before: \.tag))
    bytes.put(record, at: body)
  }

  mutating func mendSeal(_ bytes: inout [UInt8]) throws(MigrationError) {
    let leaves = try output.finishHashing()
    guard repair != .none else { return }
    let old = bytes
    var trailer: [UInt8] = []
    if let text = try trailing() { trailer = try description.text(text) }
    var signer: [UInt8]?
    switch repair {
    case .none, .consistent(.none): signer = nil
    case .consistent(.own), .consistent(.session): signer = hostKey.point
    case .rogue: signer = rogue?.transferData.sourceKey
    case .consistent(.kept):
      guard old.count >= Seal.Layout.size else { break }
      signer = old[\Seal.Layout.signer].array
    }
    let seal = try Seal(
      coveredLength: output.offset, root: HashTree.root(of: leaves), trailer: trailer,
      signer: signer)
    let signature: [UInt8] =
      switch repair {
      case .none, .consistent(.none): []
      case .consistent(.kept): Array(old.suffix(Seal.signatureSize))
      case .consistent(.own), .consistent(.session): try hostKey.sign(seal)
      case .rogue: try rogue?.sign(seal) ?? []
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
}
