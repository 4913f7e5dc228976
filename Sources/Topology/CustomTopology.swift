/// A topology that the user wrote instead of the one that the host shows.
public struct CustomTopology: Equatable, Sendable {
  /// The topology; nil: none was given, or what was given is of no use, and the host's own is to be discovered.
  public let topology: Topology?
  /// What the user has to know, for the log; nil if nothing went wrong.
  public let warning: String?
}

extension Topology {
  /// Reads the file that `MC_CUSTOM_TOPO_JSON` names.
  ///
  /// As upstream does, a file that is missing or wrong does not stop the engine: normal discovery follows, with a
  /// warning. A variable that is set but empty counts as a file that is missing.
  ///
  /// - Parameter environment: the process's variables.
  public static func custom(environment: [String: String]) -> CustomTopology {
    guard let path = environment["MC_CUSTOM_TOPO_JSON"] else { return CustomTopology(topology: nil, warning: nil) }
    func refused(_ reason: String) -> CustomTopology {
      CustomTopology(
        topology: nil,
        warning: "MC_CUSTOM_TOPO_JSON is not used, the host's topology is discovered instead: \(reason)")
    }
    guard !path.isEmpty else { return refused("it is set but empty. Unset it, or name a file.") }
    do {
      return CustomTopology(topology: try Topology(json: try FileText.bytes(of: path)), warning: nil)
    } catch let failure as FileText.Failure {
      return refused("\(path) cannot be read: \(failure.text). Correct the path or the file's permissions.")
    } catch {
      return refused("\(path): \(error)")
    }
  }
}
