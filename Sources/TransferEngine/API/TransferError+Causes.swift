internal import Metadata

extension TransferError {
  /// What a failed exchange with a peer means to the caller.
  init(_ error: MetadataError) {
    let code: Code =
      switch error.code.number {
      case -101: .dns
      case -102: .socket
      case -103: .malformedJSON
      default: error.code == .rejected ? .handshakeRejected : .metadata
      }
    self.init(code, error.description)
  }

  /// The same for an error whose type an event loop has hidden.
  init(metadata error: any Error, peer: String) {
    if let error = error as? MetadataError {
      self.init(error)
    } else {
      self.init(.socket, "\(peer): \(error)")
    }
  }
}
