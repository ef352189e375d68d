package import ArgumentParser

/// `svsm-mig-guest`: makes and shows guests at rest.
package struct GuestCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "svsm-mig-guest",
    abstract: "Make, show or export guests at rest.",
    discussion: """
      A guest bundle is a folder with the memory, the vCPUs and the SVSM state of a guest that does \
      not run.
      """,
    version: Toolkit.version,
    subcommands: [
      GuestCreateCommand.self, GuestImportCommand.self, GuestShowCommand.self,
      GuestExportCommand.self,
    ])

  package init() {}
}
