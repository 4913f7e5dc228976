import Testing
import Wire

@testable import Metadata

@Suite struct NameTests {
  @Test func keysEscapeAllButTheUnreserved() {
    #expect(PercentEncoding.encode("mooncake/ram/10.0.0.1:80") == "mooncake%2Fram%2F10.0.0.1%3A80")
    #expect(PercentEncoding.encode("AZaz09-._~") == "AZaz09-._~")
    #expect(PercentEncoding.encode(" +%?&=[]\u{e4}\n") == "%20%2B%25%3F%26%3D%5B%5D%C3%A4%0A")
  }

  @Test(
    arguments: [
      ("", "mooncake/rpc_meta/n:1", "mooncake/ram/n:1"), ("c1", "mooncake/c1/rpc_meta/n:1", "mooncake/c1/ram/n:1"),
      ("c/d/", "mooncake/c/d/rpc_meta/n:1", "mooncake/c/d/ram/n:1"),
    ]) func keysHaveTheLayoutOfTheCluster(cluster: String, location: String, segment: String)
  {
    let keys = SegmentKeys(clusterID: cluster)
    #expect(keys.location(of: "n:1") == location)
    #expect(keys.segment("n:1") == segment)
  }

  @Test func namesWithASlashAreNotInRAM() {
    #expect(SegmentKeys().segment("nvmeof/x") == "mooncake/nvmeof/x")
    #expect(SegmentKeys(clusterID: "c").segment("nvmeof/x") == "mooncake/c/nvmeof/x")
  }

  @Test func connectionStringsAsTheOriginalTakesThem() throws {
    #expect(try MetadataSource("P2PHANDSHAKE") == .peers)
    let two = [HostPort(host: "a", port: 2379), HostPort(host: "::1", port: 1)]
    for text in ["etcd://a,[::1]:1", "a;[::1]:1", "etcd://http://a:2379;http://[::1]:1/"] {
      #expect(try MetadataSource(text) == .etcd(two))
    }
    #expect(try MetadataSource("redis://r") == .redis(HostPort(host: "r", port: 6379)))
    guard case .http(let address) = try MetadataSource("http://h:8080/metadata") else {
      Issue.record("not http")
      return
    }
    #expect(address.server == HostPort(host: "h", port: 8080))
    #expect(address.path == "/metadata")
    guard case .http(let bare) = try MetadataSource("http://h") else {
      Issue.record("not http")
      return
    }
    #expect(bare.server.port == 80 && bare.path == "/" && bare.authority == "h")
  }

  @Test(
    arguments: [
      "", "etcd://", "zookeeper://h:1", "https://h/", "etcd://https://h:1", "http://", "http://h:x/", "redis://u@h",
      "etcd://a:99999", "http://h/ x", "P2PHANDSHAKE://", "http://h/a\r\nX: y",
    ]) func refusesOthersAndSaysWhatIsRight(text: String) throws
  {
    let error = try #require(metadataError { _ = try MetadataSource(text) })
    #expect(error.code == .invalidConnectionString)
    #expect(error.description.contains("redis://"))
  }

  @Test func passwordsAreNotRepeated() throws {
    let error = try #require(metadataError { _ = try MetadataSource("redis://me:geheim@h:1") })
    #expect(!error.description.contains("geheim"))
    #expect(error.description.contains("MC_REDIS_PASSWORD"))
  }

  @Test func settingsComeFromTheEnvironment() {
    let (options, warnings) = MetadataStoreOptions.fromEnvironment([
      "MC_METADATA_CLUSTER_ID": "c", "MC_REDIS_USERNAME": "u", "MC_REDIS_PASSWORD": "p", "MC_REDIS_DB_INDEX": "255",
    ])
    #expect(warnings.isEmpty)
    #expect(options.clusterID == "c" && options.redisUser == "u" && options.redisPassword == "p")
    #expect(options.redisDatabase == 255)
    for text in ["256", "-1", "x"] {
      let (options, warnings) = MetadataStoreOptions.fromEnvironment(["MC_REDIS_DB_INDEX": text])
      #expect(options.redisDatabase == 0 && warnings.count == 1)
    }
  }

  @Test func locationsAreWrittenAsOthersReadThem() throws {
    let location = PeerLocation(host: "10.0.0.1", port: 15001)
    #expect(location.encoded() == Array("{\"ip_or_host_name\":\"10.0.0.1\",\"rpc_port\":15001}\n".utf8))
    #expect(try PeerLocation(decoding: location.encoded()) == location)
    for text in ["", "null", "[]", #"{"ip_or_host_name":"a"}"#, #"{"ip_or_host_name":"a","rpc_port":65536}"#] {
      #expect(throws: WireError.self) { _ = try PeerLocation(decoding: Array(text.utf8)) }
    }
    #expect(throws: WireError.self) {
      _ = try PeerLocation(decoding: Array(#"{"ip_or_host_name":"","rpc_port":1}"#.utf8))
    }
  }
}
