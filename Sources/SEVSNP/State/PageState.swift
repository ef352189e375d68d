internal import Wire

/// What the trusted side knows about one 4 KiB page of guest-physical memory.
///
/// The names follow the RMP states of AMD's SNP firmware ABI. `secrets` marks the one validated
/// page whose content belongs to its host and is rebuilt at the destination instead of copied.
package enum PageState: UInt8, Sendable, CaseIterable {
  /// Not assigned to the guest (RMP state Hypervisor): the guest shares the page with the host.
  case shared = 1
  /// Assigned and validated (RMP state Guest-Valid): private, and its content migrates wrapped.
  case validated = 2
  /// Assigned but not validated (RMP state Guest-Invalid): private, but without content.
  case unaccepted = 3
  /// Validated, and holds the secrets page: only its address and its portable fields migrate.
  case secrets = 4

  /// Whether the VMM must have the page's attribute set to private.
  package var isPrivate: Bool { self != .shared }
}

/// Size of the RMP entry that covers a page.
package enum RMPPageSize: UInt8, Sendable, CaseIterable {
  case size4K = 0
  case size2M = 1

  /// Size in bytes.
  package var bytes: UInt64 { self == .size4K ? UInt64(Page.size) : 2 << 20 }
}

/// Access permissions of the four VMPLs to a page, as in the second quadword of an RMP entry:
/// bit 0 read, 1 write, 2 execute in user mode, 3 in supervisor mode, 4 supervisor shadow stack.
package struct VMPLPermissions: Sendable, Hashable {
  /// VMPL0 in the most significant byte, VMPL3 in the least: the order of the bytes on the wire.
  package var rawValue: UInt32

  /// Bits that are defined.
  package static let validMask: UInt32 = 0x1f1f_1f1f
  /// All permissions except shadow stack for VMPL0 to VMPL2, and none for VMPL3: what an SVSM gives
  /// its guest.
  package static let guestDefault = VMPLPermissions(rawValue: 0x0f0f_0f00)
  package static let none = VMPLPermissions(rawValue: 0)

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Whether no undefined bit is set.
  package var isValid: Bool { rawValue & ~Self.validMask == 0 }
}

/// Consecutive pages in one state.
package struct PageRun: Sendable, Hashable {
  /// Guest-physical address of the first page, 4 KiB aligned.
  package var gpa: UInt64
  /// Number of 4 KiB pages, at least one.
  package var pages: UInt64
  package var state: PageState
  package var size: RMPPageSize
  package var permissions: VMPLPermissions

  package init(
    gpa: UInt64, pages: UInt64, state: PageState, size: RMPPageSize = .size4K,
    permissions: VMPLPermissions = .none
  ) {
    self.gpa = gpa
    self.pages = pages
    self.state = state
    self.size = size
    self.permissions = permissions
  }

  /// First address after the run.
  package var end: UInt64 { gpa + pages * RMPPageSize.size4K.bytes }

  /// The addresses of its pages.
  package var addresses: Range<UInt64> {
    get { gpa..<end }
    set {
      gpa = newValue.lowerBound
      pages = (newValue.upperBound - newValue.lowerBound) / RMPPageSize.size4K.bytes
    }
  }

  /// Whether `other` continues this run with the same properties.
  package func isContinued(by other: PageRun) -> Bool {
    end == other.gpa && state == other.state && size == other.size
      && permissions == other.permissions
  }
}
