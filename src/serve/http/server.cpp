#include "serve/http/server.h"

#include "base/error.h"
#include "serve/http/connection.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

namespace ingrain::serve {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int64_t kMostRefused = 64;  // connections that are told 503; more are closed without a word

tcp::acceptor listen_at(asio::io_context& io, const HttpOptions& options) {
  const auto refuse = [&](const boost::system::error_code& error, std::string_view remedy) {
    fail("cannot listen on address '{}', port {}: {}; {}", options.address, options.port, error.message(), remedy);
  };
  boost::system::error_code error;
  const std::string name = options.address == "localhost" ? "127.0.0.1" : options.address;
  const asio::ip::address address = asio::ip::make_address(name, error);
  if (error) refuse(error, "give an address of this machine, such as 127.0.0.1, or 0.0.0.0 or :: for all of them");
  const tcp::endpoint endpoint(address, options.port);
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor.native_non_blocking(true, error);
  if (error == boost::system::errc::permission_denied) refuse(error, "ports below 1024 need a privilege");
  if (error) refuse(error, "choose another port (0: any that is free), or an address of this machine");
  return acceptor;
}

std::string text_of(const tcp::endpoint& endpoint) {
  const asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

}  // namespace

struct HttpServer::State {
  State(const HttpOptions& options, Handler handler)
      : hub(options, std::move(handler)), acceptor(listen_at(io, hub.options)), pause(io), stay(io.get_executor()) {
    port = acceptor.local_endpoint().port();
    accept();
    thread = std::thread([this] { run(); });
  }

  void run() {
    while (true) {
      try {
        io.run();
        return;
      } catch (const std::exception&) {
        // No memory for something that belongs to no connection: what is open goes on.
      }
    }
  }

  void accept() {
    acceptor.async_wait(tcp::acceptor::wait_read, [this](boost::system::error_code error) {
      if (error) return;
      if (take_waiting()) return accept();
      // No descriptors or memory: those that wait in line are asked again soon.
      pause.expires_after(std::chrono::milliseconds(100));
      pause.async_wait([this](boost::system::error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  /// False if the system can't.
  bool take_waiting() {
    for (int i = 0; i < 64; ++i) {
      tcp::endpoint peer;
      auto size = static_cast<socklen_t>(peer.capacity());
      const int socket = ::accept4(acceptor.native_handle(), peer.data(), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (socket < 0) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
      peer.resize(size);
      const bool too_many = hub.count >= hub.options.max_connections;
      if (too_many && static_cast<int64_t>(hub.open.size()) >= hub.options.max_connections + kMostRefused) {
        ::close(socket);
        continue;
      }
      try {
        open_connection(io, socket, peer.protocol().family(), text_of(peer), hub, too_many);
      } catch (const std::exception&) {
        return false;
      }
    }
    return true;
  }

  /// Runs `what` on the I/O thread and waits for it.
  void there(const std::function<void()>& what) {
    std::promise<void> done;
    asio::post(io, [&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void each(void (Connection::*what)()) {
    for (const auto& connection : std::set(hub.open)) ((*connection).*what)();
  }

  void stop(double grace_seconds) {
    const std::lock_guard lock(stopping);
    if (!thread.joinable()) return;
    using Seconds = std::chrono::duration<double>;
    const auto began = std::chrono::steady_clock::now();
    const auto left = [&] { return grace_seconds - Seconds(std::chrono::steady_clock::now() - began).count(); };
    there([&] {
      hub.stopping = true;
      boost::system::error_code ignored;
      acceptor.close(ignored);
      pause.cancel(ignored);
      each(&Connection::finish);
    });
    if (hub.workers.wait_idle(grace_seconds)) {
      // Replies are sent; clients close when they have read them.
      while (hub.count > 0 && left() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    there([&] { each(&Connection::cut); });
    while (!hub.workers.wait_idle(1e6)) {}
    there([&] { each(&Connection::cut); });
    stay.reset();
    thread.join();
  }

  Hub hub;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  asio::executor_work_guard<asio::io_context::executor_type> stay;
  uint16_t port = 0;
  std::mutex stopping;
  std::thread thread;
};

HttpServer::HttpServer(const HttpOptions& options, Handler handler)
    : state_(std::make_unique<State>(options, std::move(handler))) {}

HttpServer::~HttpServer() { stop(0); }
uint16_t HttpServer::port() const { return state_->port; }
void HttpServer::stop(double grace_seconds) { state_->stop(grace_seconds); }
int64_t HttpServer::connections() const { return state_->hub.count; }

}  // namespace ingrain::serve
