internal import ArgumentParser
internal import TransferEngine

/// Whether two engines of one host take the short way. Not unless asked: these commands are there to measure and to
/// show networks.
struct SameHostOptions: ParsableArguments {
  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "Between two processes of this host, copy memory instead of using NICs or TCP; on both sides.")
  var sameHost = false

  /// The configuration with the choice in it.
  func applied(to configuration: Configuration) -> Configuration {
    var configuration = configuration
    configuration.environment["MOONRAIL_SAME_HOST"] = sameHost ? "1" : "0"
    return configuration
  }
}
