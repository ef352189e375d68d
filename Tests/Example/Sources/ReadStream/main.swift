import Foundation
import QEMUMigrationStream

// Reads a stream that QEMU has written to a file, and puts the guest's memory together.
let file = try Data(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1]))
let stream = QEMUStreamContents(Array(file))
let memory = QEMUMemory(limit: 4 << 30)
try stream.read(into: memory) { element in
  switch element {
  case .machine(let name):
    print("machine \(name)")
  case .blocks(let blocks):
    for block in blocks { print("RAM block \(block.name), \(block.size) bytes") }
  case .section(let section):
    print("section \(section.name), instance \(section.instance), \(section.body.count) bytes")
  case .command(let name):
    print("command \(name)")
  case .description(let text):
    print("VM description, \(text.count) bytes of JSON")
  }
}
let content = memory["pc.ram"] ?? []
try Data(content).write(to: URL(fileURLWithPath: CommandLine.arguments[2]))
print("wrote pc.ram, \(content.count) bytes")
