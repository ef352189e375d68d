internal import Cryptography
package import Errors
internal import FileIO
internal import SEVSNP
package import SVSM
package import Wire

extension Attack {
  /// Makes the attack.
  /// - Parameters:
  ///   - materials: the inputs of the attack.
  ///   - isMended: whether the host then repairs everything that needs no key.
  /// - Throws: `ATTACK-NEEDS` when the materials lack what the attack changes, or already are what
  ///   it would make of them; `IO-READ`, `IO-WRITE`.
  package func make(
    from materials: Materials, mended isMended: Bool = false, to output: any ByteOutput
  ) throws(MigrationError) {
    guard !needsOneEpoch || materials.input.anatomy.count(.token) == 1 else {
      throw MigrationError(
        .attackNeeds, "\(name) is what a guest may do between two epochs",
        expected: "a stream of one epoch")
    }
    do throws(MigrationError) {
      let recipe = try recipe(mended: isMended)
      let isChange = try recipe.make(from: materials, to: output)
      guard isChange || text.isEmpty else {
        throw MigrationError(
          .attackNeeds, "the stream is already as \(name) would make it",
          expected: "another stream, or another seed")
      }
    } catch {
      var error = error
      if error.code == .recipePlace {
        error.code = .attackNeeds
        error.what = "the stream has no record that \(name) needs: \(error.what)"
        error.place = nil
      }
      throw error
    }
  }

  /// The transfer data of a session that a source begins with a small guest.
  /// - Parameters:
  ///   - offer: the offer file's bytes.
  ///   - source: the source's instance.
  /// - Throws: what `MigrationData` and `SourceSVSM` refuse.
  package static func session(
    to offer: [UInt8], from source: SVSMInstance, trust: Trust, seed: [UInt8]
  ) throws(MigrationError) -> TransferData {
    let vmsa = VMSA.reset(
      vmpl: 2, features: source.features,
      cpu: CPUIdentity(family: 0x19, model: 0x01, stepping: 1))
    let guest = TrustedGuestState(
      pageStates: try PageStateMap(joining: [PageRun(gpa: 0, pages: 1, state: .shared)]),
      vcpus: [try VCPUState(apicID: 0, vmpl: 2, vmsa: vmsa.bytes)], services: [])
    let svsm = try SourceSVSM(
      instance: source, guest: guest, validating: MigrationData(offer), trust: trust,
      isMutual: true, random: .seeded(seed))
    return svsm.transferData
  }
}
