import Errors
import TestSupport
import Testing

/// What stands at a name that somebody else may have filled: fifos, links, folders, and names that are
/// no text.
@Suite struct FileKindTests {
  private func shop() throws -> Workshop {
    let shop = try Workshop()
    try shop.makeGuest(memory: "64K")
    try shop.prepare("there")
    return shop
  }

  /// Runs a script with the tools in PATH, in the folder; a tool that hangs ends with 124.
  private func script(_ shop: Workshop, _ text: String) throws -> Program.Outcome {
    let tools = Program.tool("").dropLast()
    let lines = "cd \(shop.path); PATH=\(tools):$PATH; t() { timeout 20 svsm-mig-\"$@\"; }\n"
    return try #require(Program.run(["bash", "-c", lines + text]))
  }

  /// Rows: file of a bundle, code.
  @Test(
    "A fifo or link in a bundle is refused, and not waited for or followed",
    arguments: [
      ("guest.json", ErrorCode.guestManifest), ("ram-0.bin", .guestFile),
      ("page-states.bin", .guestFile), ("vcpu-1.vmsa", .guestFile), ("service-0.bin", .guestFile),
    ])
  func aBundleHoldsRegularFiles(name: String, code: ErrorCode) throws {
    let shop = try shop()
    try script(shop, "mv guest/\(name) kept; mkfifo guest/\(name); t guest show guest")
      .requireRefusal(code)
    let linked = try script(
      shop, "rm guest/\(name); ln -s ../kept guest/\(name); t guest show guest")
    linked.requireRefusal(code)
    #expect(linked.errors.contains("got a symbolic link"), "\(linked.errors)")
    try script(
      shop, "t save guest -o stream --to there.offer --trust root.pem"
    ).requireRefusal(code)
    #expect(!shop.exists("stream"))
  }

  /// Rows: call, what it is refused with.
  @Test(
    "A fifo where a regular file must be is not waited for",
    arguments: [
      ("guest import fifo -o out --format raw", ErrorCode.inputKind),
      ("save fifo -o out --input-format raw --to there.offer --trust root.pem", .inputKind),
      ("attack --name truncate-all fifo -o out", .inputKind),
      ("load stream --instance fifo -o out", .inputKind),
      ("load --abort --instance fifo -o out", .inputKind),
      ("save --resume-after abort --from fifo", .inputKind),
      ("save --resume-after abort --from /dev/null", .inputKind),
      ("prepare --instance fifo --output out", .outputExists),
      ("prepare --instance new --output out --platform platform", .inputKind),
      ("verify --vectors vectors", .inputKind), ("verify --vectors fixture/vectors", .inputKind),
    ])
  func aFifoIsNotWaitedFor(call: String, code: ErrorCode) throws {
    let shop = try shop()
    try shop.folder("platform")
    try shop.folder("vectors")
    try shop.folder("fixture")
    try shop.folder("fixture/vectors")
    try shop.write(
      "fixture/vectors/one.vector",
      "svsm-migration vector 1\nname: one\nwhat: a fixture that is a fifo\nsubject: stream\n"
        + "input: stream\ninstance: there.svsm\nverdict: accepted\n")
    let outcome = try script(
      shop,
      """
      mkfifo fifo platform/ark.der vectors/a.vector fixture/stream; cp there.svsm fixture; cp there.svsm gone
      t load --abort --instance gone -o abort -q
      t \(call)
      """)
    outcome.requireRefusal(code)
    #expect(!shop.exists("out"))
    #expect(!shop.exists("new"))
  }

  @Test("A fifo that brings a stream is opened once")
  func aStreamOutOfAFifoIsSaved() throws {
    let shop = try shop()
    let stream = try Fixture.read("qemu/libvirt72-pc-raw/image.xz")
    try shop.write("image", stream)
    let outcome = try script(
      shop,
      """
      mkfifo fifo; cat image > fifo & writer=$!
      t save fifo -o stream --to there.offer --trust root.pem || exit; wait $writer
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  @Test("That another has the lock of an instance is said")
  func aLockThatIsHeldIsSaid() throws {
    let shop = try shop()
    let waited = try script(
      shop,
      """
      exec 3<there.svsm; flock 3; (sleep 1; flock -u 3) &
      t load --abort --instance there.svsm -o abort
      """)
    #expect(waited.status == 0, "\(waited.errors)")
    #expect(waited.errors.contains("waiting for the lock of there.svsm"))
  }

  @Test("A name that is not UTF-8 is refused, and becomes no other")
  func aNameIsText() throws {
    let shop = try shop()
    let before = try shop.names
    let created = try script(shop, #"t guest create -o $'A\xff' --memory 64K"#)
    #expect(created.status == 64, "\(created.errors)")
    #expect(created.errors.contains("is not UTF-8"))
    let read = try script(shop, #"t verify $'in\xff'"#)
    #expect(read.status == 64)
    #expect(try shop.names == before)
    try shop.must("save", "@guest -o @stream --to @there.offer --trust @root.pem")
    let load = "load stream --instance there.svsm --trust root.pem -o out --output-format qemu"
    try script(shop, #"mkdir $'\xff'; TMPDIR=$'\xff' t "# + load).requireRefusal(.outputCreate)
    #expect(!shop.exists("out"))
  }

  @Test("What a wrong call quotes reaches no terminal as it is")
  func aWrongCallIsEscaped() throws {
    let shop = try Workshop()
    let outcome = try shop.run("attack", "--name \u{1b}[31m @stream -o @out")
    #expect(outcome.status != 0)
    #expect(!outcome.errors.contains("\u{1b}"))
    let usage = try shop.run("verify", "stream --no-such-\u{1b}[31m")
    #expect(usage.status == 64)
    #expect(usage.errors.contains("\\u{1b}[31m"), "\(usage.errors)")
  }

  @Test("A guest of 1024 blocks is read under the usual limit of open files")
  func manyBlocksAreRead() throws {
    let shop = try Workshop()
    let outcome = try script(
      shop,
      """
      python3 - <<'END'
      import json, os, struct
      os.mkdir("many")
      blocks = [{"name": f"b{n}", "size": "0x1000"} for n in range(1024)]
      ranges = [{"block": n, "offset": "0x0", "gpa": hex(n << 12), "size": "0x1000"}
                for n in range(1024)]
      for n in range(1024):
          open(f"many/ram-{n}.bin", "wb").write(bytes(4096))
      open("many/vcpu-0.vmsa", "wb").write(bytes(4096))
      open("many/page-states.bin", "wb").write(struct.pack(">QQBBHI", 0, 1024, 1, 0, 0, 0))
      json.dump({"schema": "svsm-migration/guest-bundle/1", "machine": "pc", "ram": blocks,
                 "map": ranges, "private": [], "page_state_runs": 1, "vcpus": [{"apic_id": 0, "vmpl": 2}],
                 "services": []}, open("many/guest.json", "w"))
      END
      ulimit -S -n 256; t guest show many
      """)
    #expect(outcome.status == 0, "\(outcome.errors)")
    // A limit that nobody may raise is not the guest's fault.
    let few = try script(shop, "ulimit -n 256; t guest show many")
    few.requireRefusal(.inputOpen, 66)
    #expect(few.errors.contains("Too many open files"), "\(few.errors)")
  }
}
