package import Errors

extension Wording {
  /// The text, with each need spelled as an option of the tools.
  package var spelled: String { spelled(\.option) }
}

extension MigrationError {
  /// The error's line, with each need spelled as an option of the tools.
  package var spelled: String { line.spelled }
}

extension Need {
  /// The option that supplies or permits the need.
  fileprivate var option: String {
    switch self {
    case .abort: "--abort"
    case .below4G: "--below-4g"
    case .block: "--block"
    case .channel: "--channel"
    case .commands: "--commands"
    case .features: "--sev-features"
    case .incomplete: "--allow-incomplete"
    case .instance: "--instance"
    case .length: "--length"
    case .machine: "--machine"
    case .memory: "--memory"
    case .notRAM: "--not-ram"
    case .offer: "--offer"
    case .offset: "--offset"
    case .oneWay: "--one-way"
    case .output: "--output"
    case .program: "--against"
    case .ram: "--ram"
    case .replacing: "--force"
    case .revocation: "--crl"
    case .second: "--second"
    case .seed: "--seed"
    case .seeded: "--accept-seeded"
    case .signer: "--signer"
    case .snapshot: "--snapshot"
    case .source: "--from"
    case .target: "--target"
    case .targetMachines: "--target-machines"
    case .targetRAM: "--target-ram"
    case .time: "--at"
    case .trust: "--trust"
    case .until: "--until"
    case .vmsa: "--vmsa"
    }
  }
}
