@main struct Peer { static func main() {} }
