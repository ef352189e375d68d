package import ArgumentParser
internal import Guest
internal import JSON

/// `svsm-mig-guest show`: shows what is in a bundle.
package struct GuestShowCommand: ToolCommand {
  package static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show what a guest bundle holds.")

  @Argument(help: "Folder of the bundle.", completion: .directory)
  var guest: String

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup package var common: CommonOptions

  package init() {}

  package var wantsJSON: Bool { json }

  package func execute(_ console: Console) throws {
    let description = try GuestReader(bundle: guest, acceptsIncomplete: true).description
    if json {
      try console.write(description.json)
    } else {
      try console.write(description.text)
    }
  }
}
