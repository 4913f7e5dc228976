/// What peers may do with registered memory.
public enum RemoteAccess: UInt8, Sendable, CaseIterable {
  /// Nothing: it is memory of this side's transfers only, and is not published.
  case none
  /// Read it.
  case readOnly
  /// Read and write it.
  case readWrite

  /// Whether peers may do `opcode` to it.
  @inline(__always)
  func allows(_ opcode: TransferOpcode) -> Bool {
    switch self {
    case .none: false
    case .readOnly: opcode == .read
    case .readWrite: true
    }
  }
}
