/// What neighbours tell each other over their local socket, one value per packet. Both are programs of the same host
/// and user, and of the same version of this layout: numbers are as the processor has them.
enum NeighbourMessages {
  static let version: UInt32 = 1

  /// The initiator's first words.
  struct Hello: BitwiseCopyable {
    var magic = BoardLayout.magic
    var version = NeighbourMessages.version
    /// The life of the engine that is meant: 32 hexadecimal digits.
    var life: Life
    /// Where the initiator's guard page is, and what it holds.
    var guardAddress: UInt64
    var token: (UInt64, UInt64)
  }

  /// The answer; with it come the files of the table and of the places.
  struct Welcome: BitwiseCopyable {
    var magic = BoardLayout.magic
    var version = NeighbourMessages.version
    /// 0, or why not.
    var refusal: UInt32 = 0
    var guardAddress: UInt64 = 0
    var token: (UInt64, UInt64) = (0, 0)
  }

  /// What the owner tells later on.
  struct News: BitwiseCopyable {
    /// 1: a file comes with it, of memory that can be mapped. 2: the table has changed.
    var kind: UInt32
    /// The file's number in the table.
    var file: UInt32 = 0
    var base: UInt64 = 0
    var length: UInt64 = 0
  }

  static let file: UInt32 = 1
  static let change: UInt32 = 2

  /// Why an engine does not let a neighbour in.
  enum Refusal: UInt32 {
    case otherLife = 1
    case unreachable = 2
    case full = 3
  }

  /// A life's name in the form that it travels in.
  struct Life: BitwiseCopyable, Equatable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init(_ incarnation: String) {
      let bytes = Array(incarnation.utf8.prefix(32))
      withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    static func == (left: Life, right: Life) -> Bool { left.words == right.words }
  }

  static func bytes<Message: BitwiseCopyable>(of message: Message) -> [UInt8] {
    withUnsafeBytes(of: message) { Array($0) }
  }

  /// The message that `bytes` are, if they are as many as it has.
  static func decode<Message: BitwiseCopyable>(_ bytes: [UInt8], as type: Message.Type) -> Message? {
    guard bytes.count == MemoryLayout<Message>.size else { return nil }
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: type) }
  }
}
