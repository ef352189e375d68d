public import ArgumentParser
internal import Bytes
internal import Guest

/// `svsm-mig-guest show`: what is in a bundle.
public struct GuestShowCommand: ToolCommand {
  public static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show what a guest bundle holds.")

  @Argument(help: "Folder of the bundle.", completion: .directory)
  var guest: String

  @Flag(help: "Print JSON instead of text.")
  var json = false

  @OptionGroup public var common: CommonOptions

  public init() {}

  public var wantsJSON: Bool { json }

  public func execute(_ console: Console) throws {
    let description = try GuestReader(bundle: guest).description
    if json {
      try console.write(description.json)
    } else {
      try console.write(description.text)
    }
  }
}
