import CFabric
import Glibc

extension SimulatedEndpoint {
  /// `fi_setopt` and `fi_getopt`, for the options that the provider was made to know.
  nonisolated(unsafe) static let optionTable = makeTable(
    fi_ops_ep(
      size: MemoryLayout<fi_ops_ep>.size, cancel: refusal(), getopt: refusal(), setopt: refusal(),
      tx_ctx: refusal(), rx_ctx: refusal(), rx_size_left: refusal(), tx_size_left: refusal())
  ) { table in
    table.setopt = { endpoint, level, name, value, size in
      call(endpoint, as: SimulatedEndpoint.self, closed: -FI_EINVAL) { endpoint, state in
        guard level == FI_OPT_ENDPOINT, state.counters.endpoints[endpoint.number].options[name] != nil else {
          return -FI_ENOPROTOOPT
        }
        let bytes = UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size)
        state.counters.endpoints[endpoint.number].options[name] = Array(bytes)
        return 0
      }
    }
    table.getopt = { endpoint, level, name, value, size in
      call(endpoint, as: SimulatedEndpoint.self, closed: -FI_EINVAL) { endpoint, state in
        guard level == FI_OPT_ENDPOINT, let bytes = state.counters.endpoints[endpoint.number].options[name] else {
          return -FI_ENOPROTOOPT
        }
        guard let value, let size, size.pointee >= bytes.count else { return -Int32(FI_ETOOSMALL) }
        size.pointee = bytes.count
        memcpy(value, bytes, bytes.count)
        return 0
      }
    }
  }
}
