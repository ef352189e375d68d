/// The stable codes of everything a tool can refuse or fail at.
///
/// A code never changes its meaning. `Formats/errors.md` lists each with its explanation; a test
/// holds the two together. The part before the first hyphen names the area.
public enum ErrorCode: String, Sendable, CaseIterable {
  // The container (Formats/stream.md, "Container").
  case streamEmpty = "STREAM-EMPTY"
  case streamMagic = "STREAM-MAGIC"
  case streamVersion = "STREAM-VERSION"
  case streamTruncated = "STREAM-TRUNCATED"
  case streamTrailing = "STREAM-TRAILING"
  case streamKind = "STREAM-KIND"
  case configuration = "STREAM-CONFIGURATION"
  case sectionType = "SECTION-TYPE"
  case sectionName = "SECTION-NAME"
  case sectionUnknown = "SECTION-UNKNOWN"
  case sectionID = "SECTION-ID"
  case sectionInstance = "SECTION-INSTANCE"
  case sectionVersion = "SECTION-VERSION"
  case sectionOrder = "SECTION-ORDER"
  case sectionMissing = "SECTION-MISSING"
  case sectionFooter = "SECTION-FOOTER"
  case sectionLength = "SECTION-LENGTH"
  case sectionReserved = "SECTION-RESERVED"
  case command = "STREAM-COMMAND"
  case vmdescriptionMissing = "VMDESC-MISSING"
  case vmdescriptionSyntax = "VMDESC-SYNTAX"
  case vmdescriptionMismatch = "VMDESC-MISMATCH"
  case json = "JSON-SYNTAX"

  // RAM blocks and shared pages.
  case ramList = "RAM-LIST"
  case ramBlock = "RAM-BLOCK"
  case ramFlags = "RAM-FLAGS"
  case ramOffset = "RAM-OFFSET"
  case ramData = "RAM-DATA"
  case ramMissing = "RAM-MISSING"

  // What surrounds a QEMU stream, or comes beside it.
  case imageHeader = "IMAGE-HEADER"
  case imageFormat = "IMAGE-FORMAT"
  case imageData = "IMAGE-DATA"
  case imagePartial = "IMAGE-PARTIAL"
  case channelSyntax = "CHANNEL-SYNTAX"
  case channelMachine = "CHANNEL-MACHINE"
  case channelMethod = "CHANNEL-METHOD"
  case channelData = "CHANNEL-DATA"

  // Initiation.
  case offerSyntax = "OFFER-SYNTAX"
  case offerVersion = "OFFER-VERSION"
  case offerSuite = "OFFER-SUITE"
  case offerKey = "OFFER-KEY"
  case offerUsed = "OFFER-USED"
  case instanceSyntax = "INSTANCE-SYNTAX"
  case instanceUsed = "INSTANCE-USED"
  case platformSyntax = "PLATFORM-SYNTAX"
  case sessionSyntax = "SESSION-SYNTAX"
  case sessionVersion = "SESSION-VERSION"
  case sessionSuite = "SESSION-SUITE"
  case sessionRecipient = "SESSION-RECIPIENT"
  case sessionKey = "SESSION-KEY"
  case sessionSeeded = "SESSION-SEEDED"
  case sessionOneWay = "SESSION-ONE-WAY"
  case sessionState = "SESSION-STATE"
  case instanceRestoring = "INSTANCE-RESTORING"
  case instanceAborted = "INSTANCE-ABORTED"
  case instanceChanged = "INSTANCE-CHANGED"
  case abortSyntax = "ABORT-SYNTAX"
  case abortSignature = "ABORT-SIGNATURE"
  case abortPeer = "ABORT-PEER"
  case abortSession = "ABORT-SESSION"
  case abortState = "ABORT-STATE"

  // Attestation.
  case reportLength = "REPORT-LENGTH"
  case reportVersion = "REPORT-VERSION"
  case reportReserved = "REPORT-RESERVED"
  case reportPolicy = "REPORT-POLICY"
  case reportDebug = "REPORT-DEBUG"
  case reportMigrationAgent = "REPORT-MIGRATION-AGENT"
  case reportVMPL = "REPORT-VMPL"
  case reportSigningKey = "REPORT-SIGNING-KEY"
  case reportAlgorithm = "REPORT-ALGORITHM"
  case reportSignature = "REPORT-SIGNATURE"
  case reportData = "REPORT-DATA"
  case reportTCB = "REPORT-TCB"
  case reportChip = "REPORT-CHIP"
  case reportProduct = "REPORT-PRODUCT"
  case reportMeasurement = "REPORT-MEASUREMENT"
  case reportIdentity = "REPORT-IDENTITY"
  case reportPlatform = "REPORT-PLATFORM"
  case policySyntax = "POLICY-SYNTAX"
  case certificateSyntax = "CERT-SYNTAX"
  case certificateMissing = "CERT-MISSING"
  case certificateRoot = "CERT-ROOT"
  case certificateChain = "CERT-CHAIN"
  case certificateAlgorithm = "CERT-ALGORITHM"
  case certificateName = "CERT-NAME"
  case certificateExtension = "CERT-EXTENSION"
  case certificateDate = "CERT-DATE"
  case certificateRevoked = "CERT-REVOKED"
  case certificateTable = "CERT-TABLE"

  // Private pages and epochs.
  case pageTag = "PAGE-TAG"
  case pageSequence = "PAGE-SEQUENCE"
  case pageEpoch = "PAGE-EPOCH"
  case pageOperation = "PAGE-OPERATION"
  case pageAddress = "PAGE-ADDRESS"
  case pageSize = "PAGE-SIZE"
  case pagePermissions = "PAGE-PERMISSIONS"
  case pageRepeated = "PAGE-REPEATED"
  case pageStale = "PAGE-STALE"
  case epochTag = "EPOCH-TAG"
  case epochOrder = "EPOCH-ORDER"
  case epochCount = "EPOCH-COUNT"
  case epochTranscript = "EPOCH-TRANSCRIPT"

  // Guest-physical map and page states.
  case guestMap = "MAP-LAYOUT"
  case mapSyntax = "MAP-SYNTAX"
  case mapDisagrees = "MAP-DISAGREES"
  case mapMissingPage = "MAP-MISSING-PAGE"
  case mapUnexpectedPage = "MAP-UNEXPECTED-PAGE"
  case mapSharedAtPrivate = "MAP-SHARED-AT-PRIVATE"
  case machineSyntax = "MACHINE-SYNTAX"

  // Final state.
  case finalTag = "FINAL-TAG"
  case finalOrder = "FINAL-ORDER"
  case vcpuSyntax = "VCPU-SYNTAX"
  case vcpuCount = "VCPU-COUNT"
  case vcpuRepeated = "VCPU-REPEATED"
  case vcpuVMPL = "VCPU-VMPL"
  case vcpuEFER = "VCPU-EFER"
  case vcpuFeatures = "VCPU-FEATURES"
  case serviceSyntax = "SERVICE-SYNTAX"
  case serviceUnknown = "SERVICE-UNKNOWN"
  case secretsPage = "SECRETS-PAGE"
  case commitTag = "COMMIT-TAG"
  case commitTotals = "COMMIT-TOTALS"
  case commitTranscript = "COMMIT-TRANSCRIPT"

  // The seal.
  case sealMissing = "SEAL-MISSING"
  case sealPresent = "SEAL-PRESENT"
  case sealSyntax = "SEAL-SYNTAX"
  case sealLength = "SEAL-LENGTH"
  case sealRoot = "SEAL-ROOT"
  case sealChunk = "SEAL-CHUNK"
  case sealTrailer = "SEAL-TRAILER"
  case sealSigner = "SEAL-SIGNER"
  case sealSignature = "SEAL-SIGNATURE"

  // Guests at rest.
  case guestManifest = "GUEST-MANIFEST"
  case guestFile = "GUEST-FILE"
  case guestShape = "GUEST-SHAPE"

  // Attacks and their recipes.
  case recipeSyntax = "RECIPE-SYNTAX"
  case recipePlace = "RECIPE-PLACE"
  case attackNeeds = "ATTACK-NEEDS"
  case vectorSyntax = "VECTOR-SYNTAX"

  // Files and this program.
  case inputOpen = "INPUT-OPEN"
  case inputKind = "INPUT-KIND"
  case outputExists = "OUTPUT-EXISTS"
  case outputCreate = "OUTPUT-CREATE"
  case outputSame = "OUTPUT-SAME"
  case outputTerminal = "OUTPUT-TERMINAL"
  case readFailed = "IO-READ"
  case writeFailed = "IO-WRITE"
  case cryptography = "INTERNAL-CRYPTOGRAPHY"
  case `internal` = "INTERNAL"

  /// The exit status a tool ends with, after `sysexits.h`: 65 refused input, 66 no input, 73 no
  /// output, 74 I/O error, 70 a fault of ours.
  public var exitStatus: Int32 {
    switch self {
    case .inputOpen: 66
    case .outputExists, .outputCreate, .outputSame, .outputTerminal: 73
    case .readFailed, .writeFailed: 74
    case .cryptography, .internal: 70
    default: 65
    }
  }
}
