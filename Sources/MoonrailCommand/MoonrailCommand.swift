@main struct MoonrailCommand { static func main() {} }
