internal import Cuda
internal import Fabric
internal import Topology

extension TransferEngine {
  /// Decides, before the first call into libfabric, whether it may look for GPUs, which costs a context on one for a
  /// moment: only for EFA, whose provider is the one that is known to register memory of GPUs as the engine asks for it,
  /// and only where there can be any. What the user set in `FI_HMEM` stays.
  ///
  /// - Parameter provider: libfabric's name of the provider.
  /// - Returns: Whether NICs are to be asked for that reach memory of GPUs.
  @discardableResult
  public static func looksForGPUs(provider: String) -> Bool {
    let hasGPUs = provider == "efa" && (CUDADriver.mapped != nil || HostInventory().hasNVIDIAGPU)
    if !hasGPUs { ProviderSettings.limitToHostMemory() }
    return hasGPUs && ProviderSettings.mayUseCUDA
  }
}
