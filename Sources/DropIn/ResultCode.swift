public import TransferEngine

extension TransferError {
  /// What upstream's interfaces return for it: the code, negated. 0 is success, so this never is.
  public var resultCode: Int32 { code.rawValue == 0 ? -1 : -code.rawValue }
}
