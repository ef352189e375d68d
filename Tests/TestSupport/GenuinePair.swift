package import Errors

/// A genuine report and its certificate of `Fixtures/attestation`; sources and independent checks
/// are in `SOURCES.md` there.
package struct GenuinePair: CustomStringConvertible, Sendable {
  package var name: String
  /// As AMD writes it: Milan, Genoa, Turin.
  package var product: String
  package var leaf = "vcek"
  /// What a migration's demands make of it; nil is accepted.
  package var refusal: ErrorCode?

  package var description: String { "\(name) \(leaf)" }
  /// Names below `Fixtures`.
  package var report: String { "attestation/\(name).report.bin" }
  package var certificate: String { "attestation/\(name).\(leaf).der" }

  package static let all: [GenuinePair] = [
    .init(name: "milan-v2-debug-gosevguest", product: "Milan", refusal: .reportDebug),
    .init(name: "milan-v2-virtee", product: "Milan"),
    .init(name: "milan-v3-ccf", product: "Milan"),
    .init(name: "milan-v3-ccf", product: "Milan", leaf: "vcek2"),
    .init(name: "genoa-v3-tsme-ccf", product: "Genoa"),
    .init(name: "turin-v5-ccf", product: "Turin"),
    .init(name: "milan-v2-tcb-split-trustee", product: "Milan"),
    .init(
      name: "milan-v3-vlek-trustee", product: "Milan", leaf: "vlek", refusal: .reportSigningKey),
    .init(name: "milan-v2-azure-trustee", product: "Milan"),
    .init(name: "milan-v3-azure-a-trustee", product: "Milan"),
    .init(name: "milan-v3-azure-b-trustee", product: "Milan"),
    .init(name: "milan-v3-azure-lunal", product: "Milan"),
    .init(name: "genoaclass-v5-a-lunal", product: "Genoa"),
    .init(name: "genoaclass-v5-a-lunal", product: "Genoa", leaf: "vcek2"),
    .init(name: "genoaclass-v5-b-lunal", product: "Genoa"),
    .init(name: "milan-v3-oak-a", product: "Milan"),
    .init(name: "milan-v3-oak-b", product: "Milan"),
    .init(name: "milan-v3-oak-c", product: "Milan"),
    .init(name: "milan-v3-oak-d", product: "Milan"),
    .init(name: "genoa-v5-oak", product: "Genoa"),
    .init(name: "milan-v3-sidecar", product: "Milan"),
    .init(name: "genoa-v3-veraison", product: "Genoa"),
  ]
}
