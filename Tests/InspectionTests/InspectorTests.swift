import Errors
import FileIO
import Import
import Inspection
import QEMUStream
import SEVSNP
import SVSM
import TestSupport
import Testing

/// What a walk collects of a stream, with and without keys.
@Suite struct InspectorTests {
  private func inspect(_ bytes: [UInt8], keys: Rehearsal.Keys? = nil) throws -> InspectedStream {
    try SNPInspector(
      StreamInput(ArraySource(bytes)), options: InspectionOptions(), keys: keys
    ).inspect { _ in }
  }

  @Test func keysShowTheFinalStateAndNothingElseDoes() throws {
    let stream = try Fixture.read("golden/tiny/stream.mig")
    let keyless = try inspect(stream)
    #expect(keyless.refusal == nil && keyless.state == nil)
    #expect(keyless.size == UInt64(stream.count))
    let keys = Rehearsal.Keys(
      instance: try SVSMInstance(Fixture.read("golden/destination.svsm")),
      anchors: try TrustAnchor.anchors(namedIn: [Fixture.path("golden/root.pem")]))
    let keyed = try inspect(stream, keys: keys)
    #expect(keyed.refusal == nil)
    #expect(keyed.state?.guest.vcpus.isEmpty == false)
    #expect(keyed.privatePages.pages == keyless.privatePages.pages)
  }

  @Test func aCutStreamIsShownUpToItsEnd() throws {
    let stream = try Fixture.read("golden/tiny/stream.mig")
    let found = try inspect(Array(stream.prefix(stream.count / 2)))
    #expect(found.refusal?.code == .streamTruncated)
    #expect(found.transferData != nil && found.seal == nil)
    #expect(found.sections.lines.elements.last?.isCut == true)
  }
}
