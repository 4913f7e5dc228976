/// The name of an entry, by its bytes: two texts that Unicode calls equivalent are two names here.
struct EntryKey: Hashable, Sendable, CustomStringConvertible {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  init(_ text: String) { bytes = Array(text.utf8) }

  /// Where an engine says how it is reached: a name that has one owner at a time.
  var namesAnOwner: Bool { bytes.contains("rpc_meta".utf8) }

  /// For the log: of bounded length, without control characters.
  var description: String {
    var shown = String.UnicodeScalarView()
    let text = String(decoding: bytes.prefix(512), as: UTF8.self).unicodeScalars
    shown.append(contentsOf: text.filter { $0.properties.generalCategory != .control })
    return String(shown)
  }
}
