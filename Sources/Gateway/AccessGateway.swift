@main
struct AccessGateway {
  static func main() {}
}
