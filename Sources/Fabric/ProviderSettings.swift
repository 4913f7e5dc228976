internal import Glibc

/// Settings of libfabric and its providers, which they take from the environment with the first call into the library: the
/// calls here come before that. A value that the user has set stays.
public enum ProviderSettings {
  /// Keeps libfabric from probing GPU runtimes: a probe creates a CUDA context on GPU 0 in a process that may never
  /// touch a GPU.
  public static func limitToHostMemory() {
    setenv("FI_HMEM", "system", 0)
  }

  /// Whether libfabric may look at CUDA, as far as `FI_HMEM` says.
  public static var mayUseCUDA: Bool {
    allowsCUDA(getenv("FI_HMEM").map { String(cString: $0) } ?? "")
  }

  /// What a value of `FI_HMEM` means: names with semicolons between them, and all of them where there is none.
  static func allowsCUDA(_ value: String) -> Bool {
    value.isEmpty || value.split(separator: ";").contains { $0.lowercased() == "cuda" }
  }

  /// What `ofi_rxm` needs for an engine that reads and writes and sends no messages; nothing for another `provider`.
  ///
  /// It looks for connections that have come or gone every 200 us. Its own 10 ms pass twice before a peer's first operation,
  /// and for as long it fails whatever is sent to a peer that has closed a connection and would take another.
  ///
  /// Over TCP its buffers for messages have 256 bytes. With its own 16 KiB it clears 16.5 MiB (1,024 of them, libfabric
  /// 1.17) for the first connection of each NIC on both sides, which takes 8 ms. The limit up to which messages go through
  /// such buffers stays what it is, since peers compare theirs when they connect; no engine sends any. Over verbs a buffer
  /// has to be as long as the limit, as `fi_info -e` says.
  public static func adaptMessages(of provider: String) {
    guard provider.contains("ofi_rxm") else { return }
    setenv("FI_OFI_RXM_CM_PROGRESS_INTERVAL", "200", 0)
    guard provider.hasPrefix("tcp"), getenv("FI_OFI_RXM_BUFFER_SIZE") == nil, getenv("FI_OFI_RXM_EAGER_LIMIT") == nil
    else { return }
    setenv("FI_OFI_RXM_BUFFER_SIZE", "256", 0)
    setenv("FI_OFI_RXM_EAGER_LIMIT", "16384", 0)
  }
}
