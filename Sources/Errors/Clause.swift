/// Where a rule stands in the texts of `Formats`.
package struct Clause: Sendable, Hashable {
  /// The text: "stream.md".
  package var document: String
  /// Number of its section: "4.3".
  package var section: String
  /// Number in the section's list; nil when the rule is not numbered.
  package var rule: Int?

  package init(_ document: String, _ section: String, rule: Int? = nil) {
    self.document = document
    self.section = section
    self.rule = rule
  }
}

extension Clause: CustomStringConvertible {
  /// "Formats/stream.md, section 7, rule 4".
  package var description: String {
    "Formats/\(document), section \(section)" + (rule.map { ", rule \($0)" } ?? "")
  }
}

extension ErrorCode {
  /// The rule that a refusal with this code stands for.
  /// - Parameters:
  ///   - place: what the refusal names; some codes mean another rule in each.
  ///   - isPlain: whether the stream is a plain QEMU stream, which other rules hold for.
  package func clause(in place: Place? = nil, isPlain: Bool = false) -> Clause {
    if isPlain, let clause = plainClause { return clause }
    return place.flatMap { clause(within: $0) } ?? clause
  }

  /// What a code means in a plain QEMU stream, where that differs.
  private var plainClause: Clause? {
    switch self {
    case .sealMissing, .sealSigner, .sealSignature: Clause("stream.md", "16.1")
    default: rawValue.hasPrefix("SEAL-") ? nil : Clause("tools.md", "4")
    }
  }

  /// What a code means in one section of an SNP stream, where that differs.
  private func clause(within place: Place) -> Clause? {
    switch (self, place) {
    case (.sectionReserved, .pages): Clause("stream.md", "7")
    case (.sectionReserved, .epochs): Clause("stream.md", "8")
    case (.sectionReserved, .commit): Clause("stream.md", "14", rule: 2)
    case (.sectionReserved, .session): Clause("stream.md", "4")
    case (.guestMap, .pages): Clause("stream.md", "7", rule: 8)
    case (.mapMissingPage, .ram): Clause("stream.md", "5")
    case (.sessionVersion, .commit): Clause("stream.md", "14", rule: 2)
    case (.finalOrder, .commit): Clause("stream.md", "14", rule: 3)
    case (.sectionLength, .commit): Clause("stream.md", "14", rule: 7)
    case (.certificateMissing, .revocationList), (.certificateExtension, .revocationList),
      (.certificateAlgorithm, .revocationList), (.certificateChain, .revocationList),
      (.certificateDate, .revocationList):
      Clause("amd-structures.md", "1.9")
    case (.secretsPage, .pageStates), (.secretsPage, .commit), (.vcpuVMPL, .commit):
      Clause("stream.md", "14", rule: 9)
    default: nil
    }
  }

  /// Where the rule stands that a code is about.
  private var clause: Clause {
    switch self {
    case .streamEmpty, .streamTruncated, .streamTrailing: Clause("stream.md", "2.1")
    case .streamMagic, .streamVersion: Clause("stream.md", "2.2")
    case .configuration: Clause("stream.md", "2.3")
    case .sectionType, .sectionName, .sectionID, .sectionFooter, .command:
      Clause("stream.md", "2.4")
    case .sectionInstance, .sectionVersion: Clause("stream.md", "3.1")
    case .streamKind, .sectionOrder: Clause("stream.md", "3.2")
    case .sectionMissing: Clause("stream.md", "3.2", rule: 6)
    case .sectionUnknown: Clause("stream.md", "3.3")
    case .sectionLength: Clause("stream.md", "17")
    case .sectionReserved, .finalOrder: Clause("stream.md", "9")
    case .finalTag: Clause("stream.md", "9", rule: 2)
    case .vmdescriptionMissing, .vmdescriptionSyntax, .vmdescriptionMismatch:
      Clause("stream.md", "15")
    case .json: Clause("json.md", "1")
    case .ramList, .ramBlock, .ramFlags, .ramOffset, .ramData, .mapSharedAtPrivate:
      Clause("stream.md", "5")
    case .ramMissing, .imageHeader, .imageFormat, .imageData, .imagePartial, .channelSyntax,
      .channelMachine, .channelMethod, .channelData:
      Clause("tools.md", "4")
    case .offerSyntax, .offerVersion, .offerSuite, .offerKey: Clause("migration-data.md", "1")
    case .instanceSyntax: Clause("migration-data.md", "3")
    case .instanceUsed, .instanceRestoring, .instanceAborted, .instanceChanged, .offerUsed:
      Clause("migration-data.md", "4")
    case .abortSyntax, .abortPeer, .abortSession, .abortSignature, .abortState:
      Clause("migration-data.md", "7")
    case .platformSyntax: Clause("migration-data.md", "5")
    case .sessionSyntax, .sessionVersion, .sessionSuite: Clause("stream.md", "4")
    case .sessionRecipient: Clause("stream.md", "4.3", rule: 2)
    case .sessionSeeded: Clause("stream.md", "4.3", rule: 3)
    case .sessionOneWay: Clause("stream.md", "4.3", rule: 4)
    case .sessionKey: Clause("stream.md", "4.3", rule: 5)
    case .sessionState: Clause("stream.md", "14")
    case .reportLength: Clause("amd-structures.md", "1.6")
    case .reportVersion, .reportReserved: Clause("amd-structures.md", "1")
    case .reportPolicy: Clause("amd-structures.md", "1.2")
    case .reportSigningKey: Clause("amd-structures.md", "1.3")
    case .reportProduct: Clause("amd-structures.md", "1.5")
    case .reportTCB: Clause("amd-structures.md", "2")
    case .reportData: Clause("migration-data.md", "2")
    case .policySyntax: Clause("policy.md", "1")
    case .reportMeasurement, .reportIdentity, .reportPlatform: Clause("policy.md", "2")
    case .reportDebug, .reportMigrationAgent, .reportVMPL, .reportAlgorithm, .reportSignature,
      .reportChip, .certificateMissing, .certificateRoot, .certificateChain,
      .certificateAlgorithm, .certificateName, .certificateExtension, .certificateDate:
      Clause("amd-structures.md", "1.1")
    case .certificateRevoked: Clause("amd-structures.md", "1.9")
    case .certificateSyntax: Clause("amd-structures.md", "1.7")
    case .certificateTable: Clause("amd-structures.md", "3")
    case .pageTag: Clause("stream.md", "7", rule: 1)
    case .pageAddress, .pageSize, .pagePermissions: Clause("stream.md", "7", rule: 2)
    case .pageSequence: Clause("stream.md", "7", rule: 4)
    case .pageEpoch: Clause("stream.md", "7", rule: 5)
    case .pageRepeated: Clause("stream.md", "7", rule: 6)
    case .pageOperation: Clause("stream.md", "7", rule: 7)
    case .pageStale: Clause("stream.md", "8")
    case .mapDisagrees: Clause("stream.md", "7")
    case .epochTag: Clause("stream.md", "8", rule: 1)
    case .epochOrder: Clause("stream.md", "8", rule: 3)
    case .epochCount: Clause("stream.md", "8", rule: 4)
    case .epochTranscript: Clause("stream.md", "8", rule: 5)
    case .guestMap: Clause("stream.md", "6")
    case .guestShape: Clause("stream.md", "17")
    case .mapSyntax: Clause("stream.md", "13")
    case .mapMissingPage, .mapUnexpectedPage: Clause("stream.md", "14", rule: 8)
    case .machineSyntax: Clause("stream.md", "8.1")
    case .vcpuSyntax, .vcpuRepeated: Clause("stream.md", "10")
    case .vcpuVMPL: Clause("stream.md", "10", rule: 1)
    case .vcpuFeatures: Clause("stream.md", "10", rule: 2)
    case .vcpuEFER: Clause("stream.md", "10", rule: 4)
    case .vcpuCount: Clause("stream.md", "14", rule: 6)
    case .serviceSyntax, .serviceUnknown: Clause("stream.md", "11")
    case .secretsPage: Clause("stream.md", "12")
    case .commitTag: Clause("stream.md", "14", rule: 1)
    case .commitTotals: Clause("stream.md", "14", rule: 4)
    case .commitTranscript: Clause("stream.md", "14", rule: 5)
    case .sealMissing: Clause("stream.md", "16", rule: 1)
    case .sealSyntax: Clause("stream.md", "16", rule: 2)
    case .sealLength: Clause("stream.md", "16", rule: 3)
    case .sealRoot: Clause("stream.md", "16", rule: 4)
    case .sealChunk: Clause("stream.md", "16", rule: 5)
    case .sealSigner: Clause("stream.md", "16", rule: 6)
    case .sealSignature: Clause("stream.md", "16", rule: 7)
    case .sealTrailer: Clause("stream.md", "16", rule: 8)
    case .sealPresent: Clause("stream.md", "16.1")
    case .guestManifest: Clause("guest-bundle.md", "2")
    case .guestFile: Clause("guest-bundle.md", "1")
    case .recipeSyntax: Clause("vectors.md", "1")
    case .recipePlace: Clause("vectors.md", "2")
    case .vectorSyntax: Clause("vectors.md", "5")
    case .attackNeeds: Clause("tools.md", "6")
    case .inputOpen, .inputKind, .outputExists, .outputCreate, .outputSame, .outputTerminal,
      .readFailed, .writeFailed, .cryptography, .internal:
      Clause("tools.md", "1")
    }
  }
}
