import Foundation
import Testing

@testable import Wire

/// A build of upstream's of which there are recordings (Tests/Interop/record.py makes them).
enum Build: String, CaseIterable {
  case efa = "efa-0.3.13.post1"
  case tcp = "tcp-0.3.13.post1"
  /// The last one that speaks the first TCP framing.
  case oldTCP = "tcp-0.3.10.post2"
}

/// What a build of upstream's has sent.
struct Recorded {
  let bytes: [UInt8]

  init(_ build: Build, _ name: String) throws {
    let folder = try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
    let file = folder.appendingPathComponent(build.rawValue).appendingPathComponent(name)
    bytes = Array(try Data(contentsOf: file))
  }

  /// A handshake frame that fills the recording.
  var frame: HandshakeFrame {
    get throws {
      var decoder = HandshakeFrameDecoder(maximumLength: 1 << 20)
      decoder.push(bytes)
      let frame = try #require(try decoder.next())
      #expect(decoder.pendingByteCount == 0)
      return frame
    }
  }

  /// The frame's body as somebody else's JSON reader sees it.
  var object: [String: Any] {
    get throws { try #require(try JSONSerialization.jsonObject(with: Data(try frame.body)) as? [String: Any]) }
  }
}

/// The value of `key`, which has to be there and of this type.
func value<Value>(_ key: String, of object: [String: Any], as type: Value.Type = Value.self) throws -> Value {
  try #require(object[key] as? Value, "\(key) is \(String(describing: object[key]))")
}
