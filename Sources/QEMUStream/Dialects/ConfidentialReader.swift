package import Errors

/// Reads what only the dialects of confidential guests have, in a stream that is QEMU's otherwise.
///
/// What keeps a reader from going on is thrown. What is well formed and breaks a rule is handed to
/// `refuse`, which throws it too or notes it.
package struct ConfidentialReader {
  package private(set) var facts = ConfidentialFacts()
  private let refuse: MigrationError.Refusal
  private var sev: SEVWalker?
  private var tdx: TDXWalker?

  /// - Parameter refuse: takes what breaks a rule.
  package init(refuse: @escaping MigrationError.Refusal) { self.refuse = refuse }

  /// Reads a record between sections, if the next one is a dialect's.
  /// - Parameter sections: what came before it.
  /// - Returns: whether it was.
  /// - Throws: `SECTION-ORDER` for an end without a beginning, or a second one; codes of bundles.
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
        .sectionOrder, "record of a TDX guest cannot stand here",
        in: isStart ? .cgsStart : .cgsEnd, at: place,
        expected: "one start in front of all sections, then an end")
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

  /// Reads what follows a word that no plain stream has.
  /// - Returns: the page that it exports, where it names one by its place.
  /// - Throws: `RAM-FLAGS` for a word of no dialect, or of another than the stream's; codes of the dialect.
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

  /// Whether a word that reads as the meeting of channels is AMD's flag on the first page of a block: a
  /// block's name follows, whose length is not 0, and no word begins so.
  /// - Throws: `RAM-FLAGS` for a meeting of channels in a stream of AMD's proposal, which is older.
  func isEncrypted(_ flush: ForeignWord, in input: StreamInput) throws(MigrationError) -> Bool {
    guard tdx == nil else { return false }
    let isNamed = try input.peekByte() ?? 0 != 0
    if !isNamed, sev?.flag == SEVWalker.amdFlag { throw flush.refusal }
    return isNamed
  }

  /// A body of `ram` ends.
  mutating func endBody(at offset: UInt64) throws(MigrationError) {
    try sev?.endBody(at: offset)
  }

  /// The sections end.
  /// - Throws: what `refuse` throws of `SECTION-MISSING`, `VCPU-COUNT`.
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
