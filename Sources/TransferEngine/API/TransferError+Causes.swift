internal import Metadata

extension TransferError {
  /// What a failed exchange with a peer means to the caller.
  init(_ error: MetadataError) {
    let code: Code =
      switch error.code {
      case .dns: .dns
      case .socket: .socket
      case .malformedJSON: .malformedJSON
      case .rejected: .handshakeRejected
      default: .metadata
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
