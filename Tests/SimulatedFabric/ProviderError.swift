import Glibc

/// The provider's own error numbers, numbered and worded as EFA's.
public enum ProviderError {
  /// The key is unknown to the remote domain, or does not cover the range or the kind of access.
  public static let badRemoteAddress: Int32 = 7
  /// The remote endpoint is gone.
  public static let unresponsiveRemote: Int32 = 13

  /// The text of a provider's error number. Lives for ever.
  static func text(_ number: Int32) -> UnsafePointer<CChar> {
    switch number {
    case badRemoteAddress: pointer("Invalid remote memory address")
    case unresponsiveRemote: pointer("Unresponsive remote")
    default: pointer("Unknown provider error")
    }
  }

  /// The text of a libfabric error number. Lives for ever.
  static func general(_ number: Int32) -> UnsafePointer<CChar> {
    guard (0..<256).contains(number), let text = strerror(number) else {
      return pointer("Unspecified libfabric error")
    }
    return UnsafePointer(text)
  }

  private static func pointer(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}
