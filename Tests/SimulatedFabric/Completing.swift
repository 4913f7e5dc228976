import CFabric
import Glibc

extension SimulatedEndpoint {
  /// Completes what can complete at a poll of the completion queue.
  func progress(at poll: UInt64, _ state: inout Network.State) {
    guard !transfers.isEmpty else { return }
    var waiting: [Transfer] = []
    var ready: [(Transfer, CompletionError?)] = []
    for transfer in transfers {
      switch standing(transfer, state) {
      case .fail(let error, let providerError):
        ready.append((transfer, CompletionError(error: error, providerError: providerError)))
      case .hold: waiting.append(transfer)
      default:
        if transfer.readyAt > poll { waiting.append(transfer) } else { ready.append((transfer, nil)) }
      }
    }
    guard !ready.isEmpty else { return }
    transfers = waiting
    if state.faults.reorder { ready.shuffle(using: &generator) }
    for (transfer, failure) in ready { complete(transfer, failure, &state) }
  }

  /// What happens to an operation in flight for as long as a fault stands.
  private func standing(_ transfer: Transfer, _ state: Network.State) -> Fault.Effect? {
    for rule in state.faults.rules where rule.isStanding && applies(rule, to: transfer, state) {
      switch rule.effect {
      case .fail, .hold: return rule.effect
      default: continue
      }
    }
    if transfer.heldIn == state.faults.period { return .hold }
    return nil
  }

  private func complete(_ transfer: Transfer, _ failure: CompletionError?, _ state: inout Network.State) {
    var failure = failure
    var isLost = false
    if failure == nil {
      switch transfer.fate {
      case .failure(let error): failure = error
      case .lost:
        isLost = true
        failure = move(transfer, state)
      case .success: failure = move(transfer, state)
      }
    }
    if !contextIsIntact(transfer) {
      state.violate("the context of an operation in flight on \(home.name) was written to")
    }
    end(transfer)
    let bytes = failure == nil ? transfer.request.count : 0
    // An error is reported even where a completion was not asked for.
    let isReported = !isLost && (failure != nil || transfer.wantsCompletion)
    count(&state) {
      $0.bytes += bytes
      if isLost {
        $0.lost += 1
      } else if failure != nil {
        $0.errors += 1
      } else {
        $0.completions += 1
      }
    }
    guard isReported, let queue else {
      occupy(-1, &state)
      return
    }
    queue.push(
      .init(
        context: transfer.request.context, flags: transfer.request.flags, count: transfer.request.count,
        failure: failure, endpoint: self))
  }

  /// Moves the bytes, if the remote side lets it.
  private func move(_ transfer: Transfer, _ state: Network.State) -> CompletionError? {
    let request = transfer.request
    guard let peer = state.endpoints[transfer.target] else {
      return CompletionError(error: FI_EHOSTUNREACH, providerError: ProviderError.unresponsiveRemote)
    }
    guard
      let remote = peer.home.regions[request.key]?
        .memory(at: request.remoteAddress, count: request.count, access: request.remoteAccess)
    else {
      return CompletionError(error: FI_EACCES, providerError: ProviderError.badRemoteAddress)
    }
    var offset = 0
    for segment in request.segments where segment.count > 0 {
      guard let local = transfer.copy ?? segment.start else { continue }
      switch request.direction {
      case .write: memmove(remote + offset, local, segment.count)
      case .read: memmove(local, remote + offset, segment.count)
      }
      offset += segment.count
    }
    return nil
  }
}
