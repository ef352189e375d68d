import Errors
import TestSupport
import Testing
import Wire

/// After any status but 0 there is no output, and what an output is made of is its owner's alone.
@Suite struct OutputContractTests {
  private func shop() throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest(memory: "64K")
    try shop.prepare("there")
    return shop
  }

  private let save = "@guest -o @stream --to @there.offer --trust @root.pem"

  @Test("What holds memory in clear is its owner's alone")
  func memoryIsPrivate() throws {
    let shop = try shop()
    try shop.must("save", save)
    #expect(try shop.mode("stream") == 0o600)
    try shop.write("stream", [1])
    try shop.must("save", save + " --force")
    #expect(try shop.mode("stream") == 0o600)
  }

  @Test("Of several outputs all get their names or none")
  func outputsAppearTogether() throws {
    let shop = try shop()
    let before = try shop.names
    // The offer's name is taken while the instance is made.
    for _ in 0..<4 {
      let words = [
        "bash", "-c",
        "cd \(shop.path); for i in one two; do \(Program.tool("svsm-mig-prepare")) --instance $i "
          + "--output same & done; wait; ls one two 2> /dev/null | wc -l; rm -f one two same",
      ]
      #expect(try #require(Program.run(words)).text == "1\n")
      #expect(try shop.names == before)
    }
    let instance = try shop.read("there.svsm")
    try shop.run("prepare", "--instance @there.svsm --output @./there.svsm --force")
      .requireRefusal(.outputSame)
    #expect(try shop.read("there.svsm") == instance)
    #expect(try shop.names == before)
  }

  @Test("The offer of an instance that is ready is written again, and of no other")
  func anOfferIsWrittenAgain() throws {
    let shop = try shop()
    let (offer, root) = (try shop.read("there.offer"), try shop.read("root.pem"))
    let again = "--existing --instance @there.svsm --output @again --root-out @again.pem"
    try shop.must("prepare", again)
    #expect(try shop.read("again") == offer)
    #expect(try shop.read("again.pem") == root)
    try shop.run("prepare", again).requireRefusal(.outputExists)
    #expect(try shop.run("prepare", again + " --seed 01 --force").status == 64)
    try shop.must("load", "--abort --instance @there.svsm -o @abort")
    try shop.run("prepare", again + " --force").requireRefusal(.instanceAborted)
    #expect(try shop.read("again") == offer)
    try shop.run("prepare", "--existing --instance @none --output @none.offer")
      .requireRefusal(.inputOpen)
  }

  @Test("A device or fifo keeps no instance")
  func anInstanceNeedsAFile() throws {
    let shop = try shop()
    try shop.run("prepare", "--instance /dev/null --output @new").requireRefusal(.outputExists)
    #expect(!shop.exists("new"))
  }

  @Test("A link that leads nowhere is followed when it may be replaced")
  func aLinkToNothingIsFollowed() throws {
    let shop = try shop()
    _ = Program.run(["ln", "-s", "made", shop["link"]])
    try shop.run("save", save.replacing("@stream", with: "@link")).requireRefusal(.outputExists)
    try shop.must("save", save.replacing("@stream", with: "@link") + " --force")
    #expect(shop.exists("made"))
  }

  /// Rows: what is put under a name of ours into a bundle.
  @Test(
    "A bundle that holds a folder or link under a name of ours is not replaced",
    arguments: ["mkdir $0/service-7.bin", "ln -s ../root.pem $0/service-7.bin"])
  func onlyFilesAreReplaced(command: String) throws {
    let shop = try shop()
    _ = Program.run(["sh", "-c", command, shop["guest"]])
    let before = try shop.names(in: "guest")
    try shop.run("guest", "create -o @guest --memory 64K --force").requireRefusal(.outputExists)
    #expect(try shop.names(in: "guest") == before)
  }

  @Test("A bundle is not replaced by what is made of it")
  func aBundleIsNotReplacedByItsOwn() throws {
    let shop = try shop()
    let before = try shop.names(in: "guest")
    try shop.run("guest", "import @guest/ram-0.bin -o @guest --force").requireRefusal(.outputSame)
    #expect(try shop.names(in: "guest") == before)
  }

  @Test(
    "No folder is written to standard output", arguments: ["create --memory 64K", "import @raw"])
  func aFolderIsNoStream(call: String) throws {
    let shop = try shop()
    try shop.write("raw", [UInt8](repeating: 1, count: 4096))
    let words = ["sh", "-c", "cd $0; exec \"$@\"", shop.path] + shop.words("guest", call + " -o -")
    try #require(Program.run(words)).requireRefusal(.outputCreate)
    #expect(!shop.exists("-"))
  }

  @Test("A used instance is said to be, and its output not offered to --force")
  func aUsedInstanceIsSaidFirst() throws {
    let shop = try shop()
    try shop.prepare("here", chip: 1)
    try shop.must("save", save + " --from @here.svsm")
    try shop.run("save", save + " --from @here.svsm").requireRefusal(.instanceUsed)
    let load = "@stream --instance @there.svsm -o @out --trust @root.pem"
    try shop.must("load", load)
    try shop.run("load", load).requireRefusal(.instanceUsed)
  }

  @Test("What a killed run left is said, and stays")
  func leftoversAreSaid() throws {
    let shop = try shop()
    // No process has a number so large.
    try shop.write(".stream.partial-999999999-abc", [1])
    let saved = try shop.must("save", save)
    #expect(saved.errors.contains(".stream.partial-999999999-abc is left over from a killed run"))
    #expect(shop.exists(".stream.partial-999999999-abc"))
  }

  @Test("A full output is named with its byte, and no section")
  func aFullOutputIsNamed() throws {
    let shop = try Workshop()
    try shop.makeGuest()
    try shop.prepare("there")
    try shop.must("save", save)
    let call = shop.words("load", "@stream --instance @there.svsm -o @out --trust @root.pem")
    let words = ["sh", "-c", "ulimit -f 512; exec \"$@\"", "sh"] + call
    let outcome = try #require(Program.run(words))
    outcome.requireRefusal(.writeFailed)
    #expect(outcome.errors.contains("ram-0.bin"), "\(outcome.errors)")
    #expect(!outcome.errors.contains(", section"), "\(outcome.errors)")
  }

  @Test("No core of a tool is written, where another program's would be")
  func noCoreIsWritten() throws {
    let shop = try shop()
    let script = """
      import os, resource, signal, subprocess, sys, time
      os.chdir(sys.argv[1])
      resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
      signal.pthread_sigmask(signal.SIG_SETMASK, [])  # else the tool's own mask is not seen
      # The backtracer of a Swift that is not linked in makes the process dumpable again.
      tool = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE,
                              env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
      def blocked():
          lines = open(f"/proc/{tool.pid}/status").read().split("\\n")
          return int(next(line for line in lines if line.startswith("SigBlk")).split()[1], 16)
      while not blocked() >> 14 & 1:  # SIGTERM: the tool is past what it asks for itself
          time.sleep(0.05)
      tool.send_signal(11)
      print(os.WCOREDUMP(os.waitpid(tool.pid, 0)[1]))
      """
    let call = shop.words("verify", "- --instance @there.svsm --trust @root.pem")
    let outcome = try #require(
      Program.run(["timeout", "60", "python3", "-c", script, shop.path] + call))
    #expect(outcome.text == "False\n", "\(outcome.errors)")
    #expect(try shop.names.allSatisfy { !$0.hasPrefix("core") })
  }
}
