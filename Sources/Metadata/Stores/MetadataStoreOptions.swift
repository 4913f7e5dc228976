/// Settings of the metadata stores.
public struct MetadataStoreOptions: Equatable, Sendable {
  /// Separates clusters that share a store (`MC_METADATA_CLUSTER_ID`); empty: none.
  public var clusterID = ""
  /// The user that Redis knows us as; empty: its default user (`MC_REDIS_USERNAME`).
  public var redisUser = ""
  /// The password for Redis; empty: none (`MC_REDIS_PASSWORD`).
  public var redisPassword = ""
  /// The number of Redis's database (`MC_REDIS_DB_INDEX`, 0 to 255).
  public var redisDatabase = 0

  /// The defaults.
  public init() {}

  /// Reads the settings from environment variables. A bad value keeps its default and gives a warning; nothing fails.
  public static func fromEnvironment(
    _ environment: [String: String]
  ) -> (options: MetadataStoreOptions, warnings: [String]) {
    var options = MetadataStoreOptions()
    var warnings: [String] = []
    options.clusterID = environment["MC_METADATA_CLUSTER_ID"] ?? ""
    options.redisUser = environment["MC_REDIS_USERNAME"] ?? ""
    options.redisPassword = environment["MC_REDIS_PASSWORD"] ?? ""
    if let text = environment["MC_REDIS_DB_INDEX"], !text.isEmpty {
      if let index = UInt8(text) {
        options.redisDatabase = Int(index)
      } else {
        warnings.append("MC_REDIS_DB_INDEX=\"\(text)\" is not a number from 0 to 255; database 0 is used")
      }
    }
    if !options.redisUser.isEmpty, options.redisPassword.isEmpty {
      warnings.append("MC_REDIS_USERNAME is set and MC_REDIS_PASSWORD is not; nobody is logged in. Set both")
    }
    return (options, warnings)
  }
}
