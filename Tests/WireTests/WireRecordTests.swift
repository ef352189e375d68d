import Errors
import Testing
import Wire

/// A record with a field of each kind.
private struct Sample: WireRecord {
  static let name = "sample"

  var kind: U8
  var guestVMPL: BE16
  var firstSequence: LE32
  var counters: WireList<BE16, 2>
  var reserved2: WireBytes<3>
}

@Suite struct WireRecordTests {
  private static let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0, 12]

  @Test func aFieldLiesWhereItIsDeclared() {
    #expect(Sample.size == Self.bytes.count)
    #expect(
      Sample.fields.map(\.name)
        == ["kind", "guest_vmpl", "first_sequence", "counters", "reserved_2"])
    #expect(Sample.fields.map(\.range) == [0..<1, 1..<3, 3..<7, 7..<11, 11..<14])
    #expect(Sample.range(of: \.counters) == Sample.range(of: "counters"))
    #expect(Sample.range(of: "another") == nil)
  }

  @Test func aRecordIsReadAndWrittenAsItStands() throws {
    var cursor = ByteCursor(Self.bytes.span)
    let record = try cursor.read(Sample.self)
    #expect(record.bytes == Self.bytes)
    #expect(record.guestVMPL.value == 0x0203)
    #expect(record.firstSequence.value == 0x0706_0504)
    #expect(record.counters.array == [BE16(0x0809), BE16(0x0A0B)])
    #expect(record.firstNonZero(in: [\.reserved2]) == 13)
  }

  @Test func aFieldIsReadAndWrittenInPlace() {
    var bytes = [0xFF, 0xFF] + Self.bytes + [0xFF]
    #expect(bytes[\Sample.guestVMPL, at: 2].value == 0x0203)
    bytes[\Sample.firstSequence, at: 2] = LE32(1)
    #expect(bytes == [0xFF, 0xFF, 1, 2, 3, 1, 0, 0, 0, 8, 9, 10, 11, 0, 0, 12, 0xFF])
  }

  @Test(arguments: 0..<Self.bytes.count)
  func aCutRecordNamesTheFieldThatIsCut(length: Int) throws {
    let bytes = Array(Self.bytes.prefix(length))
    var cursor = ByteCursor(bytes.span, at: 100)
    let field = try #require(Sample.fields.first { $0.range.contains(length) })
    let refusal = #expect(throws: MigrationError.self) { try cursor.read(Sample.self) }
    #expect(refusal?.code == .streamTruncated)
    #expect(refusal?.offset == UInt64(100 + field.range.lowerBound))
  }

  @Test(arguments: [
    ("guestTSCScale", "GUEST_TSC_SCALE"), ("x87DP", "X87_DP"), ("pl0SSP", "PL0_SSP"),
    ("uCET", "U_CET"), ("reserved3", "reserved3"), ("cpuidFamID", "CPUID_FAM_ID"),
  ])
  func aNameIsSpelledAsAMDDoes(property: String, name: String) {
    #expect(Sample.upperCaseName(of: property) == name)
  }
}
