extension Fixture {
  /// A recipe that makes the golden stream `tiny` one of two epochs: page 0 comes a second time, page 1
  /// is withdrawn and shared with the host from then on.
  package static let rounds = """
    copy token[0] before token[0]
    copy page[0] before token[0]
    copy page[1] before token[0] as gone
    set gone.operation 03
    # A part of the section ram: one record, and the end.
    insert before token[0] hex:0200000002
    insert before token[0] shared-record page[1]
    insert before token[0] hex:00000000000000107e00000002
    rogue
    forge states.run[0].pages =1
    forge states.run[1].gpa =0x1000
    forge states.run[1].pages =4
    """
}
