package import Errors

/// Reads the records that only the dialects of confidential guests have. The rest of such a stream
/// is QEMU's.
///
/// An error that prevents further reading is thrown. A broken rule in well-formed data is passed to
/// `refuse`, which either throws it or notes it.
package struct ConfidentialReader {
  package private(set) var facts = ConfidentialFacts()
  private let refuse: MigrationError.Refusal
  private var sev: SEVWalker?
  private var tdx: TDXWalker?

  /// - Parameter refuse: receives each broken rule.
  package init(refuse: @escaping MigrationError.Refusal) { self.refuse = refuse }

  /// Reads a record between sections, if the next record belongs to a dialect.
  /// - Parameter sections: the sections before the record.
  /// - Returns: whether a record was read.
  /// - Throws: `SECTION-ORDER` for an end without a beginning, or a second end; codes of bundles.
  mutating func readRecord(
    from input: StreamInput, after sections: SectionTable
  ) throws(MigrationError) -> Bool {
    if tdx?.isInEnd == true {
      try tdx?.readEnd(from: input, &facts)
      return true
    }
    guard let type = try input.peekByte(), type == TDXWalker.startType || type == TDXWalker.endType
    else { return false }
    let place = input.offset
    let isStart = type == TDXWalker.startType
    guard (tdx == nil) == isStart, sev == nil, !isStart || sections.isEmpty else {
      throw MigrationError(
        .sectionOrder, "record of a TDX guest is not allowed here",
        in: isStart ? .cgsStart : .cgsEnd, at: place,
        expected: "one start before all sections, then an end")
    }
    input.consume(1)
    var walker = tdx ?? TDXWalker(refuse: refuse)
    defer { tdx = walker }
    if isStart {
      try walker.readStart(from: input, &facts)
    } else {
      try walker.readEnd(from: input, &facts)
    }
    return true
  }

  /// Reads the data after a word that no plain stream has.
  /// - Returns: the page that the record exports, if it names the page by block and offset.
  /// - Throws: `RAM-FLAGS` for a word of no dialect, or of a dialect other than the stream's; codes
  ///   of the dialect.
  mutating func read(
    _ word: ForeignWord, _ ram: inout RAMDecoder, from input: StreamInput
  ) throws(MigrationError) -> RAMPage? {
    if tdx != nil { return try tdx?.read(word, &ram, from: input, &facts) }
    guard word.type == sev?.flag ?? word.type,
      word.type == SEVWalker.amdFlag || word.type == SEVWalker.openEulerFlag
    else { throw word.refusal }
    if sev == nil { sev = SEVWalker(flag: word.type, refuse: refuse) }
    return try sev?.read(word, &ram, from: input, &facts)
  }

  /// Whether a word with the flag of a multifd flush is AMD's flag on the first page of a block. In
  /// AMD's dialect a block's name follows, whose length byte is not 0. A flush is followed by
  /// another word, whose first byte is 0.
  /// - Throws: `RAM-FLAGS` for a multifd flush in a stream of AMD's proposal, which is older than
  ///   multifd flushes.
  func isEncrypted(_ flush: ForeignWord, in input: StreamInput) throws(MigrationError) -> Bool {
    guard tdx == nil else { return false }
    let isNamed = try input.peekByte() ?? 0 != 0
    if !isNamed, sev?.flag == SEVWalker.amdFlag { throw flush.refusal }
    return isNamed
  }

  /// Ends a body of `ram`.
  mutating func endBody(at offset: UInt64) throws(MigrationError) {
    try sev?.endBody(at: offset)
  }

  /// Ends the sections.
  /// - Throws: the errors that `refuse` throws: `SECTION-MISSING`, `VCPU-COUNT`.
  mutating func finish(_ sections: SectionTable, at offset: UInt64) throws(MigrationError) {
    let hasCPU = { (index: UInt32) in sections.contains("cpu", instance: index) }
    try sev?.finish(facts, at: offset, hasCPU: hasCPU)
    try tdx?.finish(facts, at: offset, hasCPU: hasCPU)
  }
}

extension Place {
  /// The record that begins a TDX guest.
  static let cgsStart = Place.section("cgs-start")
  /// The record that ends a TDX guest.
  static let cgsEnd = Place.section("cgs-end")
}
