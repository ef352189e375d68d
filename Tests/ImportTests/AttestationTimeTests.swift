import Import
import SEVSNP
import Testing

@Suite struct AttestationTimeTests {
  @Test(arguments: [
    ("issue", AttestationVerifier.Time.atIssue), ("0", .at(0)), ("1765317600", .at(1_765_317_600)),
    ("1970-01-02", .at(86_400)), ("2024-02-29", .at(1_709_164_800)),
  ])
  func timesAreReadAsWritten(text: String, time: AttestationVerifier.Time) {
    #expect(AttestationTime(text)?.time == time)
  }

  @Test(arguments: [
    "", "now", "-1", "+5", "2025-02-30", "2025-13-01", "2025-1-1", "2025-01-01T00:00:00Z",
    "99999999999999999999", "٢٠٢٥-٠١-٠١",
  ])
  func whatIsNoTimeIsNotRead(text: String) {
    #expect(AttestationTime(text) == nil)
  }
}
