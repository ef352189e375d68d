import TestSupport
import Testing

/// The libraries that hash and encrypt, each chosen by the environment, make and refuse the same.
@Suite struct EngineTests {
  private static let environments = [
    [], ["SVSM_MIG_SHA256=libcrypto"], ["SVSM_MIG_AES=libcrypto"], ["SVSM_MIG_AES=libgcrypt"],
  ]

  private let shop: Workshop

  init() throws { shop = try Workshop() }

  private func run(
    _ environment: [String], _ tool: String, _ line: String
  ) throws -> Program.Outcome {
    try #require(Program.run(["env"] + environment + shop.words(tool, line)))
  }

  @Test("A stream is the same with every engine and at any number of jobs")
  func streamsAreTheSame() throws {
    try shop.prepare("destination", seed: "01")
    try shop.makeGuest(memory: "2M")
    try shop.must(
      "save", "@guest -o @first --to @destination.offer --trust @root.pem --seed 05 --jobs 1")
    let first = try shop.read("first")
    for environment in Self.environments {
      for jobs in 1...2 {
        let saved = try run(
          environment, "save",
          "@guest -o @stream --to @destination.offer --trust @root.pem --seed 05 --jobs \(jobs) -f")
        #expect(saved.status == 0, "\(saved.errors)")
        #expect(try shop.read("stream") == first, "\(environment), \(jobs) jobs")
      }
    }
  }

  @Test("A damaged stream is refused in the same words with every engine and at any number of jobs")
  func refusalsAreTheSame() throws {
    try shop.prepare("destination", seed: "01")
    try shop.makeGuest(memory: "2M")
    try shop.must("save", "@guest -o @stream --to @destination.offer --trust @root.pem --seed 05")
    var stream = try shop.read("stream")
    for place in [stream.count / 3, stream.count / 2] { stream[place] ^= 0x10 }
    try shop.write("damaged", stream)
    for keys in ["", " --instance @destination.svsm"] {
      var said: Set<String> = []
      for environment in Self.environments {
        for jobs in 1...2 {
          let outcome = try run(
            environment, "verify", "@damaged --trust @root.pem --jobs \(jobs)\(keys)")
          #expect(outcome.status == 65)
          said.insert(outcome.text + outcome.errors)
        }
      }
      #expect(said.count == 1, "\(said)")
    }
  }
}
