#include "distributed/watch.h"

#include "base/clock.h"
#include "base/error.h"
#include "distributed/communicator.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ingrain::distributed {
namespace {

constexpr double kSilence = 20;  // seconds without a word: a machine is gone, or its network
constexpr double kConnectWithin = 20;
constexpr int kTurn = 1000;          // milliseconds between words
constexpr size_t kMostBytes = 4096;  // of a message
constexpr size_t kTokenBytes = 32;   // hexadecimal digits: who does not say them is no rank of this run

// A message is a line: "alive", or "failed WHY".
const std::string kAlive = "alive\n", kFailed = "failed ";

std::string host_name() {
  char name[256] = "unknown";
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string random_token() {
  uint8_t bytes[kTokenBytes / 2];
  require(::getrandom(bytes, sizeof bytes, 0) == sizeof bytes, "no random bytes: {}", std::strerror(errno));
  std::string out;
  for (const uint8_t byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

/// IPv4 addresses under which other machines may know this one, the name's at the end.
std::vector<std::string> own_addresses() {
  std::vector<std::string> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) == 0) {
    for (const ifaddrs* at = all; at; at = at->ifa_next) {
      if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
      char text[INET_ADDRSTRLEN];
      const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text)) out.emplace_back(text);
    }
    ::freeifaddrs(all);
  }
  return out;
}

/// A socket that listens on all addresses, and its port.
std::pair<int, int> listen_anywhere() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET, any.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof any;
  const bool listens = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 &&
                       ::listen(fd, 1024) == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size) == 0;
  require(listens, "no port for the watch over the ranks: {}", std::strerror(errno));
  return {fd, ntohs(any.sin_port)};
}

bool readable(int fd, double seconds) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, static_cast<int>(seconds * 1000)) > 0;
}

/// A connection to an address, or -1.
int connect_to(const std::string& address, int port, double seconds) {
  sockaddr_in to{};
  to.sin_family = AF_INET, to.sin_port = htons(static_cast<uint16_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return -1;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd one{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    error = ETIMEDOUT;
    if (::poll(&one, 1, static_cast<int>(seconds * 1000)) > 0) ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return fd;
  ::close(fd);
  return -1;
}

void send_text(int fd, const std::string& text) {
  // What cannot be sent, to a peer that is gone or does not read, its own end tells.
  [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// So many bytes, or what came of them in time.
std::string receive(int fd, size_t size, double seconds) {
  std::string out;
  const auto start = std::chrono::steady_clock::now();
  while (out.size() < size && seconds_since(start) < seconds) {
    if (!readable(fd, 0.2)) continue;
    char buffer[256];
    const ssize_t n = ::recv(fd, buffer, std::min(sizeof buffer, size - out.size()), 0);
    if (n <= 0) break;
    out.append(buffer, static_cast<size_t>(n));
  }
  return out;
}

/// A text from elsewhere as one line of a message.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, kMostBytes / 2);
}

}  // namespace

Watch::Watch(Communicator& ranks) {
  connect_all(ranks);
  thread_ = std::thread([this] { watch(); });
}

Watch::~Watch() {
  leaving_ = true;
  if (thread_.joinable()) thread_.join();
  for (const Peer& peer : peers_) ::close(peer.fd);
}

void Watch::connect_all(Communicator& ranks) {
  const std::string host = host_name();
  const std::vector<std::string> hosts = ranks.gather_texts(host);
  const std::vector<std::string> processes = ranks.gather_texts(std::to_string(::getpid()));
  std::vector<std::string> names;
  for (size_t r = 0; r < hosts.size(); ++r)
    names.push_back(fmt::format("rank {} ({}, process {})", r, hosts[r], processes[r]));
  name_ = names[static_cast<size_t>(ranks.rank())];

  int listener = -1, port = 0;
  std::string place;  // "PORT TOKEN ADDRESS..."
  if (ranks.first()) {
    std::tie(listener, port) = listen_anywhere();
    place = fmt::format("{} {} {}", port, random_token(), fmt::join(own_addresses(), " "));
  }
  std::vector<std::string> words;
  for (const std::string all = ranks.gather_texts(place)[0]; const char c : all)
    if (words.empty() || c == ' ')
      words.emplace_back(c == ' ' ? "" : std::string(1, c));
    else
      words.back() += c;
  const std::string token = words.at(1);

  if (!ranks.first()) {
    std::vector<std::string> addresses(words.begin() + 2, words.end());
    if (hosts[0] == host) addresses.insert(addresses.begin(), "127.0.0.1");
    Peer first;
    first.name = names[0];
    for (size_t i = 0; i < addresses.size() && first.fd < 0; ++i)
      first.fd = connect_to(addresses[i], std::stoi(words[0]), kConnectWithin / static_cast<double>(addresses.size()));
    if (first.fd >= 0) send_text(first.fd, fmt::format("{}{:08}", token, ranks.rank()));
    peers_.push_back(first);
  }
  together(ranks, [&] {
    if (ranks.first()) return accept_all(listener, names, token);
    require(peers_[0].fd >= 0, "cannot reach {} by TCP at {}: it is needed to notice ranks that die", names[0],
            fmt::join(words.begin() + 2, words.end(), ", "));
  });
  if (listener >= 0) ::close(listener);
}

void Watch::accept_all(int listener, const std::vector<std::string>& names, const std::string& token) {
  peers_.resize(names.size() - 1);
  size_t known = 0;
  const auto start = std::chrono::steady_clock::now();
  while (known < peers_.size() && seconds_since(start) < kConnectWithin) {
    if (!readable(listener, 0.2)) continue;
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) continue;
    const std::string said = receive(fd, kTokenBytes + 8, 2);
    const size_t rank = said.size() == kTokenBytes + 8 && said.starts_with(token)
                            ? std::strtoul(said.c_str() + kTokenBytes, nullptr, 10)
                            : 0;
    if (rank == 0 || rank >= names.size() || peers_[rank - 1].fd >= 0) {
      ::close(fd);  // somebody else's
      continue;
    }
    peers_[rank - 1].fd = fd, peers_[rank - 1].name = names[rank];
    ++known;
  }
  for (size_t i = 0; i < peers_.size(); ++i)
    require(peers_[i].fd >= 0, "{} did not reach {} by TCP: it is needed to notice ranks that die", names[i + 1],
            name_);
}

void Watch::watch() {
  auto before = std::chrono::steady_clock::now(), spoken = before;
  for (const Peer& peer : peers_) send_text(peer.fd, kAlive);
  while (!leaving_) {
    std::vector<pollfd> fds;
    for (const Peer& peer : peers_) fds.push_back({peer.fd, POLLIN, 0});
    ::poll(fds.data(), fds.size(), kTurn / 4);
    // A process that was stopped as a whole (by a scheduler) has heard nothing, and nobody is to blame.
    const double passed = std::min(seconds_since(before), 2.0 * kTurn / 1000);
    before = std::chrono::steady_clock::now();
    for (size_t i = 0; i < peers_.size() && !leaving_; ++i) {
      Peer& peer = peers_[i];
      peer.silent_s += passed;
      if (fds[i].revents != 0) listen_to(peer);
      if (peer.silent_s > kSilence)
        end(fmt::format("{} has not been heard of for {:.0f} s: its machine or network is gone", peer.name, kSilence),
            &peer);
    }
    if (seconds_since(spoken) * 1000 < kTurn) continue;
    spoken = before;
    for (const Peer& peer : peers_) send_text(peer.fd, kAlive);
  }
}

void Watch::listen_to(Peer& peer) {
  char buffer[512];
  const ssize_t n = ::recv(peer.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0)
    return end(fmt::format("{} has ended without a word: killed, crashed, or out of memory", peer.name), &peer);
  peer.silent_s = 0;
  peer.heard.append(buffer, static_cast<size_t>(n));
  for (size_t line; (line = peer.heard.find('\n')) != std::string::npos; peer.heard.erase(0, line + 1)) {
    const std::string said = peer.heard.substr(0, line + 1);
    // Of rank 0 comes whole what it says of any rank.
    if (said.starts_with(kFailed)) end(said.substr(kFailed.size(), line - kFailed.size()), &peer);
  }
  if (peer.heard.size() > kMostBytes) peer.heard.clear();
}

void Watch::tell_all(const std::string& why, const Peer* except) {
  for (const Peer& peer : peers_)
    if (&peer != except) send_text(peer.fd, kFailed + one_line(why) + "\n");
}

void Watch::end(const std::string& why, const Peer* from) {
  if (leaving_) return;  // in order, or by fail()
  tell_all(why, from);
  const std::string text =
      fmt::format("ingrain: {} stops: {}; 'ingrain train --resume' goes on from the newest checkpoint\n", name_, why);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  ::_exit(1);  // the computing thread waits for who is gone
}

void Watch::fail(const std::string& why) {
  leaving_ = true;  // what the others do now is not news here
  tell_all(fmt::format("{} has failed: {}", name_, why), nullptr);
}

void Watch::leave() {
  leaving_ = true;
  if (thread_.joinable()) thread_.join();
}

}  // namespace ingrain::distributed
