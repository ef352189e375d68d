import Errors
import FileIO
import Foundation
import Instances
import Migration
import QEMUStream
import SVSM
import TestSupport
import Testing
import Wire

extension Scratch {
  /// Makes of the instance `ready` one whose load of `stream` was interrupted: the guest at `guest` is
  /// what waits for its name.
  func interrupt(
    _ ready: String, loading stream: String, as guest: String, into name: String
  ) throws {
    var reader = SNPStreamReader(
      StreamInput(ArraySource(try read(stream))), checkingSealWith: nil)
    var session: TransferData?
    while session == nil {
      if case .session(let data) = try reader.next() { session = data }
    }
    let status = try #require(Program.run(["stat", "-c", "%i %W %w", self[guest]])).text.split(
      separator: " ")
    // "2026-01-02 03:04:05.678901234 +0000"; what is not known is 0 and "-".
    let fraction = status.dropFirst(3).first?.split(separator: ".").last.flatMap { UInt64($0) } ?? 0
    let seconds = try #require(UInt64(status[1]))
    let next = try SVSMInstance(read(ready)).restoring(
      by: #require(session),
      unnamed: SVSMInstance.UnnamedGuest(
        UnnamedOutput(
          path: Array(self[guest].utf8), inode: #require(UInt64(status[0])),
          birth: seconds * 1_000_000_000 + fraction)))
    try write(name, next.encoded())
  }
}

/// The way back of a guest whose stream was never restored, and loads that did not end.
@Suite struct AbortTests {
  /// A stream that `here` saved for `there`, `prepare`d without seeds.
  private func shop(_ options: String = "", seed: String? = nil) throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest(memory: "128K")
    try shop.prepare("here", chip: 1)
    try shop.prepare("there", seed: seed)
    try shop.prepare("third")
    try shop.must("save", save("stream", to: "there") + options)
    return shop
  }

  private func save(_ stream: String, to destination: String) -> String {
    "@guest -o @\(stream) --from @here.svsm --to @\(destination).offer --trust @root.pem"
  }

  private let load = "@stream --instance @there.svsm -o @out --trust @root.pem"
  private let abort = "--abort --instance @there.svsm -o @abort"
  private let resume = "--resume-after @abort --from @here.svsm"

  @Test("an abort gives the source back, and what it saves next is restored elsewhere")
  func anAbortGivesTheSourceBack() throws {
    let shop = try shop()
    try shop.must("load", abort)
    try shop.run("load", load).requireRefusal(.instanceAborted)
    #expect(!shop.exists("out"))
    try shop.must("save", resume)
    #expect(try shop.mode("here.svsm") == 0o600)
    try shop.must("save", save("again", to: "third"))
    try shop.must("load", "@again --instance @third.svsm -o @out --trust @root.pem")
    try shop.requireSame("guest", "out")
  }

  @Test("the same call writes the same abort again, with a stream and without")
  func aLostAbortIsWrittenAgain() throws {
    let shop = try shop()
    for stream in ["", "@stream "] {
      try shop.must("load", stream + abort + " --force")
      let first = try shop.read("abort")
      #expect(first.count == AbortToken.Layout.size)
      try shop.remove("abort")
      try shop.must("load", stream + abort)
      #expect(try shop.read("abort") == first)
    }
  }

  @Test("an abort is of one destination: used once, it does not undo the next save")
  func anAbortDoesNotUndoTheNextSave() throws {
    let shop = try shop()
    try shop.must("load", abort)
    try shop.must("save", resume)
    try shop.must("save", save("again", to: "third"))
    let before = try shop.read("here.svsm")
    try shop.run("save", resume).requireRefusal(.abortPeer)
    #expect(try shop.read("here.svsm") == before)
  }

  @Test("an abort that names a session gives back that session only")
  func anAbortNamesItsSession() throws {
    let shop = try shop()
    try shop.prepare("other", chip: 1)
    try shop.must(
      "save", "@guest -o @foreign --from @other.svsm --to @there.offer --trust @root.pem")
    try shop.must("load", "@foreign " + abort)
    try shop.run("save", resume).requireRefusal(.abortSession)
    try shop.must("load", "@stream " + abort + " --force")
    try shop.must("save", resume)
  }

  @Test("a stream for another destination is not given up")
  func aForeignStreamIsNotGivenUp() throws {
    let shop = try shop()
    let before = try shop.read("third.svsm")
    try shop.run("load", "@stream --abort --instance @third.svsm -o @abort")
      .requireRefusal(.sessionRecipient)
    #expect(try shop.read("third.svsm") == before)
    #expect(!shop.exists("abort"))
  }

  /// The offer as it came to the source, with one bit changed. Some bytes no check of a source covers, such as
  /// those of a certificate that no chain needs; the guest must not be lost for them.
  @Test("an offer damaged on the way is refused, or its destination can still give the guest back")
  func aDamagedOfferLosesNoGuest() throws {
    let shop = try shop()
    let offer = try shop.read("third.offer")
    var (refused, taken) = (0, 0)
    // The last third is the root's certificate, of which the source has a copy of its own.
    for byte in stride(from: offer.count * 2 / 3, to: offer.count, by: 67) {
      var damaged = offer
      damaged[byte] ^= 1
      try shop.write("damaged.offer", damaged)
      try shop.prepare("source", chip: 1)
      let saved = try shop.run(
        "save",
        "@guest -o @damaged --force --from @source.svsm --to @damaged.offer --trust @root.pem")
      if saved.status != 0 {
        refused += 1
        continue
      }
      taken += 1
      // Later ones find a destination that has given up already.
      let load = "@damaged --instance @third.svsm -o @out --trust @root.pem"
      #expect(try shop.run("load", load).status == 65)
      try shop.must("load", "--abort --instance @third.svsm -o @back --force")
      try shop.must("save", "--resume-after @back --from @source.svsm")
    }
    #expect(refused > 10 && taken > 0, "\(refused) refused, \(taken) taken")
  }

  @Test("verify says of an instance that would not load the stream what the load says")
  func verifySaysThatAnInstanceWouldNotLoad() throws {
    let shop = try shop()
    let verify = "@stream --instance @there.svsm --trust @root.pem"
    try shop.must("verify", verify)
    try shop.must("load", load)
    // It has restored this guest.
    try shop.must("verify", verify)
    let second = try self.shop()
    try second.must("load", abort)
    try second.run("load", load).requireRefusal(.instanceAborted)
    try second.run("verify", verify).requireRefusal(.instanceAborted)
    let found = try second.run("verify", verify + " --json")
    #expect(found.text.contains("\"INSTANCE-ABORTED\""))
  }

  /// Rows: byte of the abort, code of the resume when it is flipped; nil cuts the abort there.
  @Test(
    "no byte of an abort can be changed",
    arguments: [
      (0, ErrorCode.abortSyntax), (9, .abortSyntax), (11, .abortSyntax), (12, .abortPeer),
      (59, .abortPeer), (60, .abortSession), (107, .abortSession), (108, .abortSignature),
      (156, .abortSignature), (203, .abortSignature),
    ])
  func aChangedAbortIsRefused(byte: Int, code: ErrorCode) throws {
    let shop = try shop()
    try shop.must("load", "@stream " + abort)
    let (good, before) = (try shop.read("abort"), try shop.read("here.svsm"))
    var bytes = good
    bytes[byte] ^= 1
    try shop.write("abort", bytes)
    try shop.run("save", resume).requireRefusal(code)
    try shop.write("abort", Array(good.prefix(byte)))
    try shop.run("save", resume).requireRefusal(.abortSyntax)
    #expect(try shop.read("here.svsm") == before)
  }

  @Test("a source that has issued nothing, and a destination, have nothing to get back")
  func onlyAnExportedSourceIsResumed() throws {
    let shop = try shop()
    try shop.must("load", abort)
    for name in ["third", "there"] {
      try shop.run("save", "--resume-after @abort --from @\(name).svsm")
        .requireRefusal(.abortState)
    }
  }

  @Test("who has restored a guest does not give that one up", arguments: ["", "@stream "])
  func aUsedInstanceDoesNotAbort(stream: String) throws {
    let shop = try shop()
    try shop.must("load", load)
    try shop.run("load", stream + abort).requireRefusal(.instanceUsed)
    #expect(!shop.exists("abort"))
  }

  @Test("an abort that anybody with the seed can sign is refused unless accepted")
  func aSeededAbortMustBeAccepted() throws {
    let shop = try shop(seed: "0102")
    try shop.must("load", abort)
    try shop.run("save", resume).requireRefusal(.sessionSeeded)
    try shop.must("save", resume + " --accept-seeded")
  }

  @Test("of a load and an abort at one time exactly one wins", arguments: 0..<6)
  func ofALoadAndAnAbortOneWins(round: Int) async throws {
    let shop = try shop()
    // The abort has less to do; it is started later each round.
    let late = ["sh", "-c", "sleep 0.0\(round); exec \"$@\"", "sh"] + shop.words("load", abort)
    let calls = [shop.words("load", load), late]
    let outcomes = await withTaskGroup(of: (Int, Program.Outcome?).self) { group in
      for (index, call) in calls.enumerated() { group.addTask { (index, Program.run(call)) } }
      return await group.reduce(into: [Int: Program.Outcome]()) { $0[$1.0] = $1.1 }
    }
    let (loading, aborting) = (try #require(outcomes[0]), try #require(outcomes[1]))
    #expect(shop.exists("out") == (loading.status == 0))
    #expect(shop.exists("abort") == (aborting.status == 0))
    #expect((loading.status == 0) != (aborting.status == 0))
    if loading.status != 0 { loading.requireRefusal(.instanceAborted) }
    if aborting.status != 0 { aborting.requireRefusal(.instanceUsed) }
    #expect(try shop.names.allSatisfy { !$0.contains("partial") })
  }

  // MARK: Interrupted loads

  /// A guest that lies under a hidden name, and the instance that knows of it.
  private func interrupted() throws -> Workshop {
    let shop = try shop()
    let ready = try shop.read("there.svsm")
    try shop.must("load", load)
    try shop.write("ready.svsm", ready)
    try FileManager.default.moveItem(atPath: shop["out"], toPath: shop[".hidden"])
    try shop.interrupt("ready.svsm", loading: "stream", as: ".hidden", into: "there.svsm")
    return shop
  }

  @Test("an interrupted load is ended by the same call, once", arguments: ["@stream ", ""])
  func anInterruptedLoadIsEnded(stream: String) throws {
    let shop = try interrupted()
    let call = stream + "--instance @there.svsm"
    try shop.run("load", stream + abort).requireRefusal(.instanceRestoring)
    try shop.must("load", call + " -o @out")
    #expect(!shop.exists(".hidden"))
    try shop.requireSame("guest", "out")
    try shop.run("load", call + " -o @second").requireRefusal(.instanceUsed)
    try shop.run("load", abort).requireRefusal(.instanceUsed)
  }

  @Test("a guest that has its name already is found there")
  func aNamedGuestIsFound() throws {
    let shop = try interrupted()
    try FileManager.default.moveItem(atPath: shop[".hidden"], toPath: shop["elsewhere"])
    try shop.run("load", load).requireRefusal(.instanceRestoring)
    #expect(!shop.exists("out"))
    try shop.must("load", "--instance @there.svsm -o @elsewhere")
    try shop.requireSame("guest", "elsewhere")
  }

  @Test("a guest that was taken away is said to be, and not restored a second time")
  func aMissingGuestIsNotRestoredAgain() throws {
    let shop = try interrupted()
    try shop.remove(".hidden")
    // Something else under the hidden name is not the guest.
    try shop.must("guest", "create -o @.hidden --memory 64K")
    let before = try shop.read("there.svsm")
    try shop.run("load", load).requireRefusal(.instanceRestoring)
    #expect(!shop.exists("out"))
    #expect(try shop.read("there.svsm") == before)
  }

  @Test("what stands at the output stays, unless a bundle is to be replaced")
  func endingReplacesNothingUnasked() throws {
    let shop = try interrupted()
    try shop.must("guest", "create -o @out --memory 64K")
    try shop.run("load", load).requireRefusal(.outputExists)
    #expect(shop.exists(".hidden"))
    try shop.must("load", load + " --force")
    try shop.requireSame("guest", "out")
    #expect(!shop.exists(".hidden"))
  }

  @Test(
    "a guest that waits for its name gets no other form",
    arguments: ["-o @out --output-format raw", "-o - --output-format qemu"])
  func endingWritesNoOtherFormat(options: String) throws {
    let shop = try interrupted()
    let before = try shop.read("there.svsm")
    let words = ["sh", "-c", "cd $0; exec \"$@\"", shop.path]
    let outcome = try #require(
      Program.run(words + shop.words("load", "@stream --instance @there.svsm \(options)")))
    #expect(outcome.status == 64, "\(outcome.errors)")
    #expect(shop.exists(".hidden") && !shop.exists("out") && !shop.exists("-"))
    #expect(try shop.read("there.svsm") == before)
    try shop.must("load", "--instance @there.svsm -o @out --output-format bundle")
  }

  @Test("another stream does not end an interrupted load")
  func anotherStreamDoesNotEndIt() throws {
    let shop = try interrupted()
    try shop.prepare("other", chip: 1)
    try shop.must(
      "save", "@guest -o @foreign --from @other.svsm --to @there.offer --trust @root.pem")
    try shop.run("load", "@foreign --instance @there.svsm -o @out --trust @root.pem")
      .requireRefusal(.instanceRestoring)
    // But goes back to its source.
    try shop.must("load", "@foreign " + abort)
    try shop.must("save", "--resume-after @abort --from @other.svsm")
    try shop.run("save", resume).requireRefusal(.abortSession)
    #expect(shop.exists(".hidden"))
    try shop.must("load", load)
  }

  /// Rows: byte of the instance file, to be set in one that is ready.
  @Test(
    "an instance has no field of another stage", arguments: [12, 248, 296, 344, 441, 447, 455, 463])
  func anInstanceHasNoFieldOfAnotherStage(byte: Int) throws {
    let shop = try Workshop()
    try shop.prepare("one")
    var bytes = Array(try shop.read("one.svsm").dropLast(32))
    bytes[byte] = byte == 12 ? 9 : 1
    try shop.write("body", bytes)
    let digest = try #require(Hex.decode(Program.sha256(of: shop["body"])))
    try shop.write("one.svsm", bytes + digest)
    try shop.run("load", "--abort --instance @one.svsm -o @abort").requireRefusal(.instanceSyntax)
  }
}
