// A client over a real socket, for tests of the server. What must happen has 20 seconds for it, on however loaded a
// machine.
#pragma once

#include "serve/http/server.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace ingrain::serve {

inline constexpr auto kPatience = std::chrono::seconds(20);

/// A thread that waits for another's word.
class Signal {
 public:
  void give() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool wait(int count = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

inline bool becomes_true(const std::function<bool()>& what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!what()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class Client {
 public:
  explicit Client(const HttpServer& server, int receive_buffer = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval limit{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(server.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    EXPECT_TRUE(connected_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  /// Until `end` has come, or all is there.
  std::string read_until(std::string_view end) {
    while (buffer_.find(end) == buffer_.npos && fill()) {}
    const size_t at = buffer_.find(end);
    const size_t size = at == buffer_.npos ? buffer_.size() : at + end.size();
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return out;
  }
  std::string read_all() {
    while (fill()) {}
    return std::exchange(buffer_, {});
  }
  /// A reply with a Content-Length.
  std::string read_reply() {
    std::string head = read_until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == head.npos) return head;
    const size_t length = std::stoul(head.substr(at + 16));
    while (buffer_.size() < length && fill()) {}
    head += buffer_.substr(0, length);
    buffer_.erase(0, length);
    return head;
  }
  bool failed() const { return failed_; }  // other than by an orderly end

 private:
  bool fill() {
    char bytes[4096];
    const ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
    if (n < 0) failed_ = true;
    if (n <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }

  int socket_;
  bool connected_ = false, failed_ = false;
  std::string buffer_;
};

inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n";
}

inline void echo(Exchange& exchange) {
  const Request& request = exchange.request();
  exchange.reply(200, "text/plain", request.method + " " + request.path + " " + request.body);
}

}  // namespace ingrain::serve
