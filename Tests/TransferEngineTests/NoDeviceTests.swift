import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// What a user reads whose host has no EFA.
  @Suite(.timeLimit(.minutes(1)))
  struct NoDeviceTests {
    private func complaint(_ provider: String?, _ environment: [String: String]) -> String {
      do {
        let peer = try PeerProcess(provider: provider, bufferLength: 4096, environment: environment)
        return "it runs as \(peer.name)"
      } catch {
        return "\(error)"
      }
    }

    @Test func saysWhatWasLookedAtAndWhatToDo() {
      let text = complaint(nil, ["FI_PROVIDER_PATH": "", "FAKE_EFA_NICS": "", "MOONRAIL_PROVIDER": ""])
      #expect(text.contains("No EFA device"), "\(text)")
      #expect(text.contains("Looked at: libfabric "), "\(text)")
      #expect(text.contains("/sys/class/infiniband"), "\(text)")
      #expect(text.contains("What to do"), "\(text)")
      #expect(text.contains("tcp;ofi_rxm"), "\(text)")
    }

    @Test func unknownProviderIsNamed() {
      let text = complaint("no-such-provider", [:])
      #expect(text.contains("no-such-provider"), "\(text)")
      #expect(text.contains("fi_info -l"), "\(text)")
    }

    @Test func missingLibraryIsNamed() {
      let text = complaint("shm", ["MOONRAIL_LIBFABRIC": "/nowhere/libfabric.so.1"])
      #expect(text.contains("/nowhere/libfabric.so.1"), "\(text)")
      #expect(text.contains("MOONRAIL_LIBFABRIC"), "\(text)")
    }
  }
}
