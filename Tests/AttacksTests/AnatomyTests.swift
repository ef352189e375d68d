import Attacks
import Errors
import SVSM
import TestSupport
import Testing

@Suite struct AnatomyTests {
  @Test("An index covers a stream from its first byte to its last", arguments: Laboratory.goldens)
  func anIndexHasNoGap(name: String) throws {
    let bytes = try Laboratory.stream(name)
    let anatomy = try Anatomy(of: bytes)
    var next: UInt64 = 0
    for part in anatomy.parts {
      #expect(part.start == next, "\(part.kind)")
      #expect(part.body >= part.start && part.body <= part.end, "\(part.kind)")
      next = part.runEnd
    }
    #expect(next == UInt64(bytes.count))
    #expect(anatomy.size == next)
    #expect(anatomy.count(.commit) == 1 && anatomy.count(.final(.vcpu)) > 0)
  }

  @Test("A part is found by its number and by any byte of it", arguments: ["mixed", "many-vcpus"])
  func aPartIsFoundBothWays(name: String) throws {
    let bytes = try Laboratory.stream(name)
    let anatomy = try Anatomy(of: bytes)
    for kind in Anatomy.Kind.allCases {
      for index in 0..<anatomy.count(kind) {
        let part = try #require(anatomy.part(kind, index))
        #expect(anatomy.part(at: part.start) == part)
        #expect(anatomy.part(at: part.end - 1) == part)
        guard kind.isSection else { continue }
        // A footer, which names the section's id.
        let footer = Int(part.end) - 5
        #expect(bytes[footer] == 0x7e)
        #expect(bytes[footer + 1..<footer + 5] == bytes[Int(part.start) + 1..<Int(part.start) + 5])
      }
      #expect(anatomy.part(kind, anatomy.count(kind)) == nil)
    }
    #expect(anatomy.part(at: anatomy.size) == nil)
  }

  @Test("Only a stream that is whole is indexed")
  func aCutStreamIsRefused() throws {
    let bytes = try Laboratory.stream("tiny")
    let code = refusalCode { _ = try Anatomy(of: Array(bytes.prefix(bytes.count / 2))) }
    #expect(code == .streamTruncated)
  }
}
