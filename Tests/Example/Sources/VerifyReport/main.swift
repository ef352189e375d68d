import Foundation
import SVSMMigration

// Verifies an attestation report under AMD's roots, with the certificate of the chip that signed it.
func bytes(_ path: String) throws -> [UInt8] {
  Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}
let report = try SNPReport(bytes(CommandLine.arguments[1]))
let certificate = try bytes(CommandLine.arguments[2])
print("report of version \(report.version), asked for at VMPL \(report.vmpl)")

// Any genuine report, judged at the time when its certificates were issued.
let verifier = try SNPVerifier(at: nil, demanding: .anyGuest)
let verdict = try verifier.verify(report, certificates: certificate)
for check in verdict.checks {
  switch check.outcome {
  case .passed: print("passed:", check.name, "-", check.meaning)
  case .failed(let error): print("failed:", check.name, "-", error)
  case .notAsked(let why): print("not asked:", check.name, "-", why)
  case .notReached: print("not reached:", check.name)
  }
}
print(verdict.isGenuine ? "genuine" : "not genuine")
