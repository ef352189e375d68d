package import Errors

/// A stable code in a few lines, by somebody who has met it: what it means, where it comes from, what to
/// do. `Formats/errors.md` says the same; a test holds both together.
package struct Explanation: Sendable {
  /// What is the case.
  package var meaning: String
  /// What it usually comes from, the likeliest first.
  package var causes: [String]
  /// What to do about it.
  package var remedy: String
}

extension ErrorCode {
  /// What `svsm-mig-verify --explain` says of the code.
  package var explanation: Explanation {
    switch self {
    // The container.
    case .streamEmpty: .streamEmpty
    case .streamMagic: .streamMagic
    case .streamVersion: .streamVersion
    case .streamTruncated: .streamTruncated
    case .streamTrailing: .streamTrailing
    case .streamKind: .streamKind
    case .configuration: .configuration
    case .sectionType: .sectionType
    case .sectionName: .sectionName
    case .sectionUnknown: .sectionUnknown
    case .sectionID: .sectionID
    case .sectionInstance: .sectionInstance
    case .sectionVersion: .sectionVersion
    case .sectionOrder: .sectionOrder
    case .sectionMissing: .sectionMissing
    case .sectionFooter: .sectionFooter
    case .sectionLength: .sectionLength
    case .sectionReserved: .sectionReserved
    case .command: .command
    case .vmdescriptionMissing: .vmdescriptionMissing
    case .vmdescriptionSyntax: .vmdescriptionSyntax
    case .vmdescriptionMismatch: .vmdescriptionMismatch
    case .json: .json
    // RAM blocks and shared pages.
    case .ramList: .ramList
    case .ramBlock: .ramBlock
    case .ramFlags: .ramFlags
    case .ramOffset: .ramOffset
    case .ramData: .ramData
    case .ramMissing: .ramMissing
    // Around and beside a QEMU stream.
    case .imageHeader: .imageHeader
    case .imageFormat: .imageFormat
    case .imageData: .imageData
    case .imagePartial: .imagePartial
    case .channelSyntax: .channelSyntax
    case .channelMachine: .channelMachine
    case .channelMethod: .channelMethod
    case .channelData: .channelData
    // Initiation.
    case .offerSyntax: .offerSyntax
    case .offerVersion: .offerVersion
    case .offerSuite: .offerSuite
    case .offerKey: .offerKey
    case .offerUsed: .offerUsed
    case .instanceSyntax: .instanceSyntax
    case .instanceUsed: .instanceUsed
    case .platformSyntax: .platformSyntax
    case .sessionSyntax: .sessionSyntax
    case .sessionVersion: .sessionVersion
    case .sessionSuite: .sessionSuite
    case .sessionRecipient: .sessionRecipient
    case .sessionKey: .sessionKey
    case .sessionSeeded: .sessionSeeded
    case .sessionOneWay: .sessionOneWay
    case .sessionState: .sessionState
    // Attestation.
    case .reportLength: .reportLength
    case .reportVersion: .reportVersion
    case .reportReserved: .reportReserved
    case .reportPolicy: .reportPolicy
    case .reportDebug: .reportDebug
    case .reportMigrationAgent: .reportMigrationAgent
    case .reportVMPL: .reportVMPL
    case .reportSigningKey: .reportSigningKey
    case .reportAlgorithm: .reportAlgorithm
    case .reportSignature: .reportSignature
    case .reportData: .reportData
    case .reportTCB: .reportTCB
    case .reportChip: .reportChip
    case .reportProduct: .reportProduct
    case .reportMeasurement: .reportMeasurement
    case .reportIdentity: .reportIdentity
    case .reportPlatform: .reportPlatform
    case .policySyntax: .policySyntax
    case .certificateSyntax: .certificateSyntax
    case .certificateMissing: .certificateMissing
    case .certificateRoot: .certificateRoot
    case .certificateChain: .certificateChain
    case .certificateAlgorithm: .certificateAlgorithm
    case .certificateName: .certificateName
    case .certificateExtension: .certificateExtension
    case .certificateDate: .certificateDate
    case .certificateRevoked: .certificateRevoked
    case .certificateTable: .certificateTable
    // Private pages and epochs.
    case .pageTag: .pageTag
    case .pageSequence: .pageSequence
    case .pageEpoch: .pageEpoch
    case .pageOperation: .pageOperation
    case .pageAddress: .pageAddress
    case .pageSize: .pageSize
    case .pagePermissions: .pagePermissions
    case .pageRepeated: .pageRepeated
    case .pageStale: .pageStale
    case .epochTag: .epochTag
    case .epochOrder: .epochOrder
    case .epochCount: .epochCount
    case .epochTranscript: .epochTranscript
    // Guest-physical map and page states.
    case .machineSyntax: .machineSyntax
    case .guestMap: .guestMap
    case .mapSyntax: .mapSyntax
    case .mapDisagrees: .mapDisagrees
    case .mapMissingPage: .mapMissingPage
    case .mapUnexpectedPage: .mapUnexpectedPage
    case .mapSharedAtPrivate: .mapSharedAtPrivate
    // Final state.
    case .finalTag: .finalTag
    case .finalOrder: .finalOrder
    case .vcpuSyntax: .vcpuSyntax
    case .vcpuCount: .vcpuCount
    case .vcpuRepeated: .vcpuRepeated
    case .vcpuVMPL: .vcpuVMPL
    case .vcpuEFER: .vcpuEFER
    case .vcpuFeatures: .vcpuFeatures
    case .serviceSyntax: .serviceSyntax
    case .serviceUnknown: .serviceUnknown
    case .secretsPage: .secretsPage
    case .commitTag: .commitTag
    case .commitTotals: .commitTotals
    case .commitTranscript: .commitTranscript
    // The seal.
    case .sealMissing: .sealMissing
    case .sealPresent: .sealPresent
    case .sealSyntax: .sealSyntax
    case .sealLength: .sealLength
    case .sealRoot: .sealRoot
    case .sealChunk: .sealChunk
    case .sealTrailer: .sealTrailer
    case .sealSigner: .sealSigner
    case .sealSignature: .sealSignature
    // Guests at rest.
    case .guestManifest: .guestManifest
    case .guestFile: .guestFile
    case .guestShape: .guestShape
    // Files and this program.
    case .inputOpen: .inputOpen
    case .inputKind: .inputKind
    case .outputExists: .outputExists
    case .outputCreate: .outputCreate
    case .outputSame: .outputSame
    case .outputTerminal: .outputTerminal
    case .readFailed: .readFailed
    case .writeFailed: .writeFailed
    case .cryptography: .cryptography
    case .instanceRestoring: .instanceRestoring
    case .instanceAborted: .instanceAborted
    case .instanceChanged: .instanceChanged
    case .abortSyntax: .abortSyntax
    case .abortPeer: .abortPeer
    case .abortSession: .abortSession
    case .abortSignature: .abortSignature
    case .abortState: .abortState
    case .recipeSyntax: .recipeSyntax
    case .recipePlace: .recipePlace
    case .attackNeeds: .attackNeeds
    case .vectorSyntax: .vectorSyntax
    case .internal: .internal
    }
  }
}
