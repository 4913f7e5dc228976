internal import NIOCore
internal import NIOHTTP1

/// A reply to be sent.
struct Answer: Sendable {
  let status: HTTPResponseStatus
  let contentType: String
  let body: ByteBuffer
  /// Methods to name, where one was used that is not served.
  var allowed: String?

  init(_ status: HTTPResponseStatus, contentType: String, body: ByteBuffer, allowed: String? = nil) {
    self.status = status
    self.contentType = contentType
    self.body = body
    self.allowed = allowed
  }

  /// A sentence about metadata, under the content type that upstream gives it.
  static func metadata(_ status: HTTPResponseStatus, _ text: String, allowed: String? = nil) -> Answer {
    Answer(
      status, contentType: "application/json; charset=utf-8", body: ByteBuffer(string: text), allowed: allowed)
  }

  /// Plain text.
  static func text(_ status: HTTPResponseStatus, _ text: String, allowed: String? = nil) -> Answer {
    Answer(status, contentType: "text/plain; charset=utf-8", body: ByteBuffer(string: text), allowed: allowed)
  }
}
