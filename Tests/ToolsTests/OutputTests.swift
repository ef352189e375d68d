import Errors
import TestSupport
import Testing

@Suite struct OutputTests {
  private func shop() throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    return shop
  }

  private let save = "@guest --to @there.offer --trust @root.pem"
  private let load = "@stream --instance @there.svsm --trust @root.pem"

  @Test func anExistingOutputStaysUnlessForced() throws {
    let shop = try shop()
    try shop.write("stream", [1, 2, 3])
    try shop.run("save", "\(save) -o @stream").requireRefusal(.outputExists)
    #expect(try shop.read("stream") == [1, 2, 3])
    try shop.must("save", "\(save) -o @stream --force")
    try shop.run("load", "\(load) -o @guest").requireRefusal(.outputExists)
    try shop.must("load", "\(load) -o @guest --force")
    let instance = try shop.read("there.svsm")
    try shop.run("prepare", "--instance @there.svsm --output @new.offer")
      .requireRefusal(.outputExists)
    #expect(try shop.read("there.svsm") == instance)
    #expect(!shop.exists("new.offer"))
  }

  @Test func forceReplacesABundleAndNothingElse() throws {
    let shop = try shop()
    try shop.must("save", "\(save) -o @stream")
    try shop.must("guest", "create -o @folder --memory 64K")
    try shop.write("folder/thesis.txt", [1])
    try shop.run("load", "\(load) -o @folder --force").requireRefusal(.outputExists)
    #expect(try shop.read("folder/thesis.txt") == [1])
  }

  /// Rows: tool, call, what is input and output at once.
  @Test(arguments: [
    ("save", "@image -o @image --force --to @there.offer --trust @root.pem"),
    ("save", "@guest -o @guest/ram-0.bin --force --to @there.offer --trust @root.pem"),
    ("save", "@image -o @there.offer --force --to @there.offer --trust @root.pem"),
    ("load", "@image -o @image --force --output-format raw --instance @there.svsm"),
    ("load", "@image -o @there.svsm --force --output-format raw --instance @there.svsm"),
    ("guest", "import @image -o @image --force"),
  ])
  func inputAndOutputAreNotOneFile(tool: String, call: String) throws {
    let shop = try shop()
    try shop.write("image", [UInt8](repeating: 7, count: 8192))
    let before = try shop.names
    try shop.run(tool, call).requireRefusal(.outputSame)
    #expect(try shop.names == before)
    #expect(try shop.read("image") == [UInt8](repeating: 7, count: 8192))
  }

  @Test func aFullDiskIsAFailureThatLeavesNothing() throws {
    let shop = try shop()
    let before = try shop.names
    try shop.run("save", "\(save) -o /dev/full").requireRefusal(.writeFailed)
    try shop.run("save", "\(save) -o -", output: .file("/dev/full")).requireRefusal(.writeFailed)
    try shop.run("prepare", "--instance @new.svsm --output /dev/full").requireRefusal(.writeFailed)
    #expect(try shop.names == before)
    try shop.must("save", "\(save) -o @stream")
    try shop.run("verify", "@stream --trust @root.pem", output: .file("/dev/full"))
      .requireRefusal(.writeFailed)
    #expect(try shop.run("load", "--help", output: .file("/dev/full")).status == 74)
  }

  @Test func aRestoredGuestStandsWhenOnlyTheResultCannotBePrinted() throws {
    let shop = try shop()
    try shop.must("save", "\(save) -o @stream")
    let outcome = try shop.run("load", "\(load) -o @out --json", output: .file("/dev/full"))
    outcome.requireRefusal(.writeFailed)
    #expect(outcome.errors.contains("the guest is restored all the same: \(shop["out"])"))
    try shop.requireSame("guest", "out")
  }

  /// A process may be started without them; the first file it opens would then have their numbers.
  @Test(arguments: ["0<&-", "1>&-", "0<&- 1>&- 2>&-"])
  func aClosedStandardStreamIsNoOtherFile(closed: String) throws {
    let shop = try shop()
    try shop.prepare("here", chip: 1)
    let (names, instance) = (try shop.names, try shop.read("here.svsm"))
    let call =
      closed.hasPrefix("0")
      ? shop.words("verify", "- --instance @here.svsm")
      : shop.words("save", "\(save) --from @here.svsm -o -")
    let words = ["sh", "-c", "exec \"$@\" \(closed)", "sh"] + call
    let outcome = try #require(Program.run(words))
    #expect(outcome.status == 74)
    if !closed.contains("2>") {
      outcome.requireRefusal(closed.hasPrefix("0") ? .readFailed : .writeFailed)
    }
    #expect(try shop.names == names)
    #expect(try shop.read("here.svsm") == instance)
  }

  /// A limit of 256 KiB a file stands in for a disk that fills up half way.
  @Test(arguments: ["save", "load"])
  func aDiskThatFillsUpHalfWayLeavesNothing(tool: String) throws {
    let shop = try shop()
    try shop.must("save", "\(save) -o @stream")
    let (names, instance) = (try shop.names, try shop.read("there.svsm"))
    let call = tool == "save" ? "\(save) -o @new" : "\(load) -o @new"
    let words = ["sh", "-c", "ulimit -f 512; exec \"$@\"", "sh"] + shop.words(tool, call)
    try #require(Program.run(words)).requireRefusal(.writeFailed)
    #expect(try shop.names == names)
    #expect(try shop.read("there.svsm") == instance)
  }

  @Test func aReaderThatLeavesIsAFailure() throws {
    let shop = try shop()
    try shop.prepare("here", chip: 1)
    let ready = try shop.read("here.svsm")
    try shop.run("save", "\(save) --from @here.svsm -o -", output: .closedPipe)
      .requireRefusal(.writeFailed)
    // What failed before the commit has not given the guest away.
    #expect(try shop.read("here.svsm") == ready)
    try shop.must("save", "\(save) -o @stream")
    // Text whose reader has gone is nobody's loss: the tool ends as SIGPIPE ends a program.
    let shown = try shop.run("verify", "@stream --trust @root.pem", output: .closedPipe)
    #expect(shown.status == 141 && shown.errors.isEmpty, "\(shown.errors)")
  }

  /// Half a stream, then silence, then a signal.
  @Test(arguments: [("TERM", 143), ("INT", 130), ("HUP", 129)])
  func aSignalLeavesNothing(signal: String, status: Int32) throws {
    let shop = try shop()
    try shop.must("save", "\(save) -o @stream")
    let instance = try shop.read("there.svsm")
    let before = try shop.names
    let half = try shop.read("stream").count / 2
    let script = """
      set -e; cd "$0"; mkfifo ../$(basename "$0").fifo; exec 3<>../$(basename "$0").fifo
      rm ../$(basename "$0").fifo; head -c \(half) stream >&3 &
      "$@" <&3 & load=$!
      for i in $(seq 500); do ls -A | grep -q partial && break; sleep 0.02; done
      ls -A | grep -q partial; kill -\(signal) $load; set +e; wait $load; exit $?
      """
    // A background job of a script ignores SIGINT from the start, unless `env` says otherwise.
    let call = shop.words("load", "- --instance @there.svsm -o @out --trust @root.pem")
    let outcome = try #require(
      Program.run(["bash", "-c", script, shop.path, "env", "--default-signal=INT"] + call))
    #expect(outcome.status == status, "\(outcome.errors)")
    #expect(try shop.names == before)
    #expect(try shop.read("there.svsm") == instance)
  }

  @Test func anOutputThatCannotBeMadeIsSaidBeforeTheWork() throws {
    let shop = try shop()
    try shop.run("save", "\(save) -o @missing/stream").requireRefusal(.outputCreate)
    try shop.must("save", "\(save) -o @stream")
    try shop.run("load", "\(load) -o @missing/out").requireRefusal(.outputCreate)
    // And the instance may still load.
    try shop.must("load", "\(load) -o @out")
  }

  @Test func aGuestOfTwoMappedBlocksIsNoRawImage() throws {
    let shop = try Workshop()
    try shop.must("guest", "create -o @guest --memory 64K --second-block 64K")
    try shop.prepare("there")
    try shop.must("save", "\(save) -o @stream")
    try shop.run("load", "\(load) -o @out --output-format raw").requireRefusal(.guestShape)
    #expect(!shop.exists("out"))
    try shop.must("load", "\(load) -o @out")
    try shop.requireSame("guest", "out")
  }

  /// `script` gives the tool a terminal.
  @Test func aTerminalGetsColourAndNoBinary() throws {
    let shop = try shop()
    try shop.must("save", "\(save) -o @stream")
    func onTerminal(_ words: [String]) throws -> Program.Outcome {
      let line = words.map { "'\($0)'" }.joined(separator: " ")
      return try #require(Program.run(["script", "-q", "-e", "-c", line, "/dev/null"]))
    }
    let binary = try onTerminal(shop.words("save", "\(save) -o -"))
    #expect(binary.status == 73)
    #expect(binary.text.contains("[OUTPUT-TERMINAL]"))
    let call = shop.words("verify", "@stream --trust @root.pem")
    let terminal = ["env", "TERM=xterm", "NO_COLOR="]
    #expect(try onTerminal(terminal + call).text.contains("\u{1b}[32mproven"))
    #expect(try !onTerminal(["env", "TERM=xterm", "NO_COLOR=1"] + call).text.contains("\u{1b}"))
    #expect(try !shop.must("verify", "@stream --trust @root.pem").text.contains("\u{1b}"))
  }

  /// What is foreign is shown, and never obeyed by a terminal.
  @Test func controlCharactersOfAnInputReachNoTerminal() throws {
    let shop = try shop()
    // A file's name becomes the section of what is refused in it.
    try shop.write("bad\u{1b}[31m", Array("no certificate".utf8))
    let refused = try shop.run("attest", "verify @there.offer --cert @bad\u{1b}[31m")
    #expect(refused.errors.contains("bad\\u{1b}[31m"))
    #expect(!refused.errors.contains("\u{1b}"))
    let manifest = String(decoding: try shop.read("guest/guest.json"), as: UTF8.self)
    let machine = #""machine": "pc\u001b[31m""#
    let changed = manifest.replacing(/"machine": "[^"]*"/, with: machine)
    try shop.write("guest/guest.json", Array(changed.utf8))
    let shown = try shop.must("guest", "show @guest").text
    #expect(shown.hasPrefix("machine   pc\\u{1b}[31m\n"))
    #expect(!shown.contains("\u{1b}"))
  }
}
