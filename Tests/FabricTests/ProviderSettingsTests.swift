import Fabric
import Glibc
import Testing

/// The environment belongs to the whole process, so each has one of its own.
struct ProviderSettingsTests {
  @Test func theUsersChoiceOfMemoryStays() async throws {
    await #expect(processExitsWith: .success) {
      exit(stays("FI_HMEM", "cuda", insteadOf: "system") { ProviderSettings.limitToHostMemory() } ? 0 : 1)
    }
  }

  @Test func theUsersChoiceOfAnIntervalStays() async throws {
    await #expect(processExitsWith: .success) {
      let name = "FI_OFI_RXM_CM_PROGRESS_INTERVAL"
      exit(stays(name, "5000", insteadOf: "200") { ProviderSettings.adaptMessages(of: "tcp;ofi_rxm") } ? 0 : 1)
    }
  }

  /// A provider whose buffers are smaller than its limit for messages only because we made them so would lose messages of a
  /// user who has set either.
  @Test func theUsersChoiceOfBuffersStays() async throws {
    await #expect(processExitsWith: .success) {
      let (size, limit) = ("FI_OFI_RXM_BUFFER_SIZE", "FI_OFI_RXM_EAGER_LIMIT")
      for (chosen, other) in [(size, limit), (limit, size)] {
        unsetenv(other)
        setenv(chosen, "8192", 1)
        ProviderSettings.adaptMessages(of: "tcp;ofi_rxm")
        guard value(chosen) == "8192", value(other) == nil else { exit(1) }
      }
      for name in [size, limit] { unsetenv(name) }
      // Over verbs the two have to be equal, and over what has no such messages they mean nothing.
      for provider in ["verbs;ofi_rxm", "ofi_rxm", "tcp", "efa"] {
        ProviderSettings.adaptMessages(of: provider)
        guard value(size) == nil, value(limit) == nil else { exit(3) }
      }
      ProviderSettings.adaptMessages(of: "tcp;ofi_rxm")
      // Peers without these settings have a limit of 16 KiB, and refuse those with another.
      exit(value(size) == "256" && value(limit) == "16384" ? 0 : 2)
    }
  }
}

private func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Whether `set` gives the variable `usual` where it has no value, and leaves `chosen` where that is what it has.
private func stays(_ name: String, _ chosen: String, insteadOf usual: String, _ set: () -> Void) -> Bool {
  unsetenv(name)
  set()
  guard value(name) == usual else { return false }
  setenv(name, chosen, 1)
  set()
  return value(name) == chosen
}
