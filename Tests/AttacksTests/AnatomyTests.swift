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
    while let part = try anatomy.part(at: next) {
      #expect(part.start == next, "\(part.kind)")
      #expect(part.body >= part.start && part.body <= part.end, "\(part.kind)")
      guard part.end > next else { break }
      next = part.end
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
        let part = try #require(try anatomy.part(kind, index))
        #expect(try anatomy.part(at: part.start) == part)
        #expect(try anatomy.part(at: part.end - 1) == part)
        guard kind.isSection else { continue }
        // A footer, which names the section's id.
        let footer = Int(part.end) - 5
        #expect(bytes[footer] == 0x7e)
        #expect(bytes[footer + 1..<footer + 5] == bytes[Int(part.start) + 1..<Int(part.start) + 5])
      }
      #expect(try anatomy.part(kind, anatomy.count(kind)) == nil)
    }
    #expect(try anatomy.part(at: anatomy.size) == nil)
  }

  @Test("Each of thousands of parts and records is found, though no two that follow are alike")
  func anIndexLargerThanMemoryIsSearched() throws {
    // Parts of shared memory without a record, and with a zero page that names its block.
    let empty = "0200000002" + "0000000000000010" + "7e00000002"
    let one =
      "0200000002" + "0000000000000002" + "0670632e72616d" + "00" + "0000000000000010"
      + "7e00000002"
    let count = 12_000
    let whole = try Laboratory.stream("tiny")
    let start = try #require(try Anatomy(of: whole).part(.token)).start
    let before = try Anatomy(of: whole)
    let stream = try Laboratory.make(
      "insert before token hex:" + String(repeating: empty + one, count: count)
        + "\nrepair resign session", of: whole)
    let anatomy = try Anatomy(of: stream)
    #expect(anatomy.count(.ramPart) == before.count(.ramPart) + 2 * count)
    #expect(anatomy.count(.token) == before.count(.token))
    let first = before.count(.ramPart)
    for index in stride(from: 0, to: count, by: 61) + [count - 1] {
      let place = start + UInt64(index * (18 + 34))
      for (step, offset, size) in [(0, place, 18), (1, place + 18, 34 as UInt64)] {
        let part = try #require(try anatomy.part(.ramPart, first + 2 * index + step))
        #expect(part.start == offset && part.end == offset + size && part.body == offset + 5)
        #expect(try anatomy.part(at: offset + size - 1) == part)
      }
    }
    let made = try Laboratory.make(
      "append from ram.zero[last]\nappend from ram.page[last].name", of: stream)
    #expect(
      made.suffix(23) == stream[Int(start) + 52 * count - 29..<Int(start) + 52 * count - 13]
        + [6] + Array("pc.ram".utf8))
  }

  @Test("A record is found by its revision as by a search through all records")
  func revisionsAreFound() throws {
    let stream = try Laboratory.rounds()
    let anatomy = try Anatomy(of: stream)
    var pages: [(record: [UInt8], gpa: [UInt8], operation: UInt8)] = []
    for index in 0..<anatomy.count(.page) {
      let part = try #require(try anatomy.part(.page, index))
      let body = Int(part.body)
      pages.append(
        (
          Array(stream[Int(part.start)..<Int(part.end)]), Array(stream[body + 8..<body + 16]),
          stream[body + 20]
        ))
    }
    let indices = Array(pages.indices)
    func others(_ index: Int) -> [Int] {
      indices.filter { pages[$0].gpa == pages[index].gpa && $0 != index }
    }
    let again = indices.filter { pages[$0].operation == 2 }
    let cancel = indices.filter { pages[$0].operation == 3 }
    let expected: [(String, [Int])] = [
      ("once", indices.filter { others($0).isEmpty }), ("again", again),
      ("older", again.compactMap { newer in others(newer).last { $0 < newer } }),
      ("cancel", cancel),
      ("withdrawn", cancel.filter { index in others(index).allSatisfy { $0 < index } }),
    ]
    for (name, found) in expected {
      #expect(!found.isEmpty, "\(name)")
      for (number, index) in found.enumerated() {
        let made = try Laboratory.make("append from page.\(name)[\(number)]", of: stream)
        #expect(Array(made.dropFirst(stream.count)) == pages[index].record, "\(name)")
      }
      let code = refusalCode {
        _ = try Laboratory.make("append from page.\(name)[\(found.count)]", of: stream)
      }
      #expect(code == .recipePlace)
    }
  }

  @Test("Only a stream that is whole is indexed")
  func aCutStreamIsRefused() throws {
    let bytes = try Laboratory.stream("tiny")
    let code = refusalCode { _ = try Anatomy(of: Array(bytes.prefix(bytes.count / 2))) }
    #expect(code == .streamTruncated)
  }
}
