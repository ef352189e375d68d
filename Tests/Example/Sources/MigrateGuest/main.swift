import Foundation
import SNPMigration

func migrate() throws {
  // A guest of 64 pages, of which the first 48 are private.
  var content = [UInt8](repeating: 0, count: 64 * 4096)
  for index in content.indices { content[index] = UInt8(truncatingIfNeeded: index / 4096) }
  let guest = try GuestImage(
    blocks: [.init(name: "pc.ram", content: content)], privateMemory: [0..<48 * 4096])

  // Either side believes in the platforms of the model: there is no SNP hardware here.
  let trust = MigrationTrust.model(at: Int64(Date().timeIntervalSince1970))

  // The destination publishes an offer; the source checks it and sends the guest to it.
  let destination = try MigrationDestination()
  let source = try MigrationSource(of: guest)
  let stream = try source.send(to: destination.offer, trusting: trust)
  print("stream of \(stream.count) bytes")

  // Anyone can check a stream in part; the destination checks it whole.
  let verdict = try MigrationVerdict(of: stream, to: destination.offer, trusting: trust)
  for row in verdict.rows { print(row.property, row.outcome) }

  // A page that the host has changed is refused, by place and byte.
  var forged = stream
  forged[stream.count / 2] ^= 1
  if let refusal = try destination.verify(forged, trusting: trust).refusal { print(refusal) }

  let restored = try destination.receive(stream, trusting: trust)
  print(restored == guest ? "the guest is the same" : "the guest is another")
}

try migrate()
