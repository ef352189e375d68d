internal import Errors
internal import Guest
internal import Instances
internal import JSON
internal import Migration
internal import SVSM

extension GuestMoment {
  /// The moment in words: "epoch 2", "epoch 2, after 100 of its page records".
  var text: String {
    "epoch \(epoch)"
      + (pageRecords.map { ", after \($0) of its page records" } ?? "")
  }
}

extension GuestMoment {
  /// The moment as members of an object.
  fileprivate var members: [JSON.Member] {
    [.init("epoch", JSON(epoch))]
      + (pageRecords.map { [.init("pageRecords", JSON($0))] } ?? [])
  }

  var json: JSON { .object(members) }
}

extension LoadCommand {
  /// Says what a replay has made.
  func report(_ summary: ReplaySummary, _ console: Console) throws(MigrationError) {
    guard let moment = summary.guest.moment else { return }
    console.note(
      "replayed to \(moment.text): \(summary.privatePages) private and \(summary.sharedPages) shared "
        + "pages to \(output); what follows was not read")
    console.note(
      outputFormat == .raw
        ? "this is memory at that moment, without vCPUs; nothing in a raw image says so"
        : "it is marked as incomplete: it has no vCPUs, and no tool saves it")
    console.noteLeftovers(of: [output])
    console.noteModel()
    guard json else { return }
    var members: [JSON.Member] = [
      .init("schema", "svsm-migration/replay/1"), .init("tool", .string(console.tool)),
      .init("status", "done"), .init("guest", .string(output)),
      .init("format", .string((outputFormat ?? .bundle).rawValue)),
      .init("machine", .string(summary.guest.machine)),
    ]
    members += moment.members
    members += [
      .init("privatePages", JSON(summary.privatePages)),
      .init("sharedPages", JSON(summary.sharedPages)), .init("streamBytes", JSON(summary.bytes)),
      .init("mutual", .bool(summary.transferData.flags.contains(.mutual))),
      .init("seeded", .bool(summary.transferData.flags.contains(.seeded))),
      .init("exitStatus", 0),
    ]
    try console.write(.object(members))
  }
}
