internal import Wire

/// Turns a request into its reply. No I/O.
struct HandshakeResponder: Sendable {
  let service: any HandshakeService

  /// The reply, with what was wrong when it is a refusal of a request that is JSON but not of the right types. Throws
  /// when the request is no JSON at all; such a connection is closed without a reply, as peers expect.
  func reply(to frame: HandshakeFrame) throws(WireError) -> (frame: HandshakeFrame, complaint: WireError?) {
    switch frame.type {
    case .connection, nil:
      let (body, complaint) = try connection(frame.body)
      return (HandshakeFrame(type: frame.type, body: body), complaint)
    case .metadata:
      let request = try DescriptorRequest(decoding: frame.body)
      let descriptor = service.segmentDescriptor(for: request) ?? Array("null\n".utf8)
      return (HandshakeFrame(type: .metadata, body: descriptor), nil)
    case .notify:
      let (body, complaint) = try notification(frame.body)
      return (HandshakeFrame(type: .notify, body: body), complaint)
    case .probe:
      try validateJSON(frame.body)
      return (HandshakeFrame(type: .probe, body: ProbeReply().encoded()), nil)
    }
  }

  private func connection(_ body: [UInt8]) throws(WireError) -> ([UInt8], WireError?) {
    do {
      let request = try ConnectionMessage(decoding: body)
      return (service.connection(request).encoded(), nil)
    } catch  where error.code != .malformedJSON {
      return (ConnectionMessage.refusal("Invalid handshake: \(error.message)").encoded(), error)
    }
  }

  private func notification(_ body: [UInt8]) throws(WireError) -> ([UInt8], WireError?) {
    do {
      let message = try NotifyMessage(decoding: body)
      return (service.notification(message).encoded(), nil)
    } catch  where error.code != .malformedJSON {
      return (NotifyMessage.rejected.encoded(), error)
    }
  }
}
