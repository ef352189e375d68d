import Errors
import JSON
import TestSupport
import Testing
import Wire

/// `--crl` of the tools, and what they say of attestation that they cannot judge.
@Suite struct RevocationToolTests {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K --seed 07")
    try shop.prepare("there")
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
  }

  private func list(_ name: String) -> String {
    "--crl " + Fixture.path("model-platform/revoked/\(name).crl")
  }

  @Test("Every tool that checks a chain refuses one whose issuer is revoked")
  func aRevokedIssuerIsRefusedByEveryTool() throws {
    let save = "@guest -o @second --to @there.offer --trust @root.pem"
    let load = "@stream -o @loaded --instance @there.svsm --trust @root.pem"
    let refused = try shop.run("save", "\(save) \(list("ask"))")
    refused.requireRefusal(.certificateRevoked)
    // The list is no part of the offer: it has no byte there.
    #expect(refused.errors.contains("section revocation list, got serial number 010001"))
    #expect(!shop.exists("second"))
    try shop.run("load", "\(load) \(list("ask"))").requireRefusal(.certificateRevoked)
    #expect(!shop.exists("loaded"))
    let verify = "@stream --trust @root.pem --instance @there.svsm"
    try shop.run("verify", "\(verify) \(list("ask"))").requireRefusal(.certificateRevoked)
    try shop.run("attest", "verify @there.offer --trust @root.pem \(list("ask"))")
      .requireRefusal(.certificateRevoked)
    try shop.must("save", "\(save) \(list("none"))")
    try shop.must("load", "\(load) \(list("none"))")
  }

  @Test("A list in hex is said to be that, and what makes one of it")
  func aListInHexIsSaidToBeThat() throws {
    try shop.write(
      "list.hex", Array(Hex.encode(Fixture.read("model-platform/revoked/none.crl")).utf8))
    let call = "verify @there.offer --trust"
    for words in ["@root.pem --crl @list.hex", "@list.hex"] {
      let refused = try shop.run("attest", "\(call) \(words)")
      refused.requireRefusal(.certificateSyntax)
      #expect(refused.errors.contains("got hex digits: xxd -r -p makes bytes of them"))
    }
    let explained = try shop.must("verify", "--explain CERT-REVOKED").text
    #expect(explained.contains("Formats/amd-structures.md, section 1.9"))
  }

  @Test("A ledger says whether revocation was checked")
  func theLedgerSaysWhetherRevocationWasChecked() throws {
    let verify = "@stream --trust @root.pem"
    let without = try shop.must("verify", verify).text
    #expect(without.contains("\nnot checked    revocation: no --crl is given\n"))
    let with = try shop.must("verify", "\(verify) \(list("none"))").text
    #expect(!with.contains("revocation"))
    #expect(try shop.run("verify", "\(verify) --json").json["revocation"]?.string == "not-checked")
    let checked = try shop.run("verify", "\(verify) --json \(list("none"))").json
    #expect(checked["revocation"]?.string == "checked")
    // A root that nobody names ends the chain before its list could be asked.
    let unknown = try shop.run("verify", "@stream --json \(list("none"))").json
    #expect(unknown["revocation"]?.string == "not-checked")
    let said = try shop.run("verify", "@stream \(list("none"))").text
    #expect(said.contains("\nnot checked    revocation: no revocation list of a chain's root"))
    let attest = try shop.must("attest", "verify @there.offer --trust @root.pem").text
    #expect(attest.contains("  not checked  revocation "))
  }

  @Test("A list is for calls that check a chain")
  func aListIsForCallsThatCheckAChain() throws {
    let load = "@stream -o @loaded --instance @there.svsm \(list("none"))"
    for (tool, line) in [
      ("load", "\(load) --one-way"), ("load", "\(load) --abort"),
      ("verify", "--explain SEAL-CHUNK \(list("none"))"),
    ] { #expect(try shop.run(tool, line).status == 64, "\(line)") }
  }

  @Test("A root that nobody named is not checkable: nothing is refuted, and the stream is refused")
  func anUnknownRootIsNotCheckable() throws {
    let outcome = try shop.run("verify", "@stream")
    #expect(outcome.status == 65)
    #expect(outcome.errors.contains("refused [CERT-ROOT]"))
    #expect(outcome.text.contains("not checkable  source-attestation"))
    #expect(outcome.text.contains("CN=ARK-Model"))
    #expect(outcome.text.contains("\nrefused [CERT-ROOT]: "))
    #expect(!outcome.text.contains("refuted"))
    let both = try shop.run("verify", "@stream --offer @there.offer --json").json
    #expect(both["refuted"]?.int == 0)
    let properties = both["properties"]?.array ?? []
    for name in ["source-attestation", "destination-attestation", "key-binding"] {
      let property = properties.first { $0["name"]?.string == name }
      #expect(property?["outcome"]?.string == "not-checkable", "\(name)")
    }
  }

  @Test("What is refuted carries no sentence of the opposite")
  func aRefutedPropertyDoesNotSayTheOpposite() throws {
    var bytes = try shop.read("stream")
    bytes[bytes.count / 2] ^= 1
    try shop.write("damaged", bytes)
    let text = try shop.run("verify", "@damaged --trust @root.pem").text
    for line in text.split(separator: "\n") where line.hasPrefix("refuted   ") {
      #expect(line.hasSuffix(" finding") || line.hasSuffix(" findings"), "\(line)")
    }
    let json = try shop.run("verify", "@damaged --trust @root.pem --json").json
    for property in json["properties"]?.array ?? [] {
      #expect(property["meaning"]?.string?.hasPrefix("whether ") == true)
    }
  }
}
