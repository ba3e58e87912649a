#include "serve/http/connection.h"

#include "serve/http/exchange.h"
#include "serve/http/request_reader.h"
#include "serve/store/ids.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace ingrain::serve {

namespace asio = boost::asio;

namespace {

using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostAhead = size_t{32} << 10;  // bytes of later requests that are kept while one is answered
constexpr double kLingerSeconds = 2, kLingerAtMost = 10;
constexpr double kBodyBytesASecond = 1024;

Clock::time_point in(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e6)));
}

/// Bytes on their way from a handler's thread, which waits here.
class Delivery {
 public:
  explicit Delivery(const ReplyPort::Pieces& which) {
    for (size_t i = 0; i < which.size(); ++i) pieces[i] = {which[i].data(), which[i].size()};
  }
  std::array<asio::const_buffer, 3> pieces;

  void done(bool taken) {
    const std::lock_guard lock(mutex_);
    taken_ = taken;
    ready_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return taken_.has_value(); });
    return *taken_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<bool> taken_;
};

class Link final : public Connection, public ReplyPort, public std::enable_shared_from_this<Link> {
 public:
  Link(asio::io_context& io, int socket, int family, std::string peer, Hub& hub, bool counted)
      : socket_(io), timer_(io), hub_(hub), reader_(hub.options), peer_(std::move(peer)), counted_(counted) {
    socket_.assign(family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket);
    if (counted_) ++hub_.count;
  }
  ~Link() override {
    if (counted_) --hub_.count;
  }

  void begin() {
    const int on = 1, idle = 60, unheard = static_cast<int>(std::min(hub_.options.write_seconds * 1000, 1e9));
    const int socket = socket_.native_handle();
    // A client that vanished without a word is found out: by probes where nothing is under way, else by its silence.
    ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard, sizeof unheard);
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!counted_) return refuse(too_busy("too many connections; try again"));
    head_deadline_ = in(hub_.options.header_seconds);
    advance();
  }

  void finish() override {
    if (phase_ != Phase::reading) return;
    if (!reader_.begun()) return close();
    refuse(too_busy("the server is stopping"));
  }
  void cut() override { close(); }

  // For the handler's thread.
  const Request& request() const override { return reader_.request(); }
  bool gone() const override { return gone_; }
  bool keep_alive() const override { return reader_.keep_alive() && !gone_; }
  bool http_1_0() const override { return reader_.http_1_0(); }
  const Headers& reply_headers() const override { return reader_.reply_headers(); }
  bool deliver(const Pieces& pieces) override {
    Delivery delivery(pieces);
    asio::post(socket_.get_executor(), [self = shared_from_this(), &delivery] { self->begin_delivery(delivery); });
    return delivery.wait();
  }
  void handle();

 private:
  /// reading: a request comes in. handling: a handler has it. answering: a reply of our own goes out. lingering: all is
  /// sent, and what still comes is thrown away, since closing on unread bytes would take the reply from the client.
  enum class Phase { reading, handling, answering, lingering, closed };

  /// An exception here (no memory) ends this connection, not the server.
  template <class F>
  auto guarded(F f) {
    return [self = shared_from_this(), f](auto... arguments) {
      try {
        f(*self, arguments...);
      } catch (const std::exception&) {
        self->close();
      }
    };
  }

  void read() {
    if (read_pending_ || read_closed_ || phase_ == Phase::closed) return;
    read_pending_ = true;
    socket_.async_read_some(asio::buffer(in_), guarded([](Link& it, Code error, size_t n) {
                              it.read_pending_ = false;
                              it.has_read(error, n);
                            }));
  }

  void has_read(Code error, size_t n) {
    if (phase_ == Phase::closed) return;
    if (error) {
      read_closed_ = true;
      if (phase_ == Phase::reading || phase_ == Phase::lingering) return close();
      gone_ = true;  // what is under way may still arrive: half a connection is left
      return;
    }
    if (phase_ == Phase::lingering) {
      arm(std::min(in(kLingerSeconds), linger_deadline_));
      return read();
    }
    ahead_.append(in_.data(), n);
    if (phase_ == Phase::reading) return advance();
    if (ahead_.size() < kMostAhead) read();
  }

  /// Goes on with the request that comes in, by what is there of it.
  void advance() {
    const bool begun = reader_.begun();
    const auto before = reader_.state();
    ahead_.erase(0, reader_.put(ahead_));
    count_body();
    if (reader_.begun() && !begun && served_ > 0) head_deadline_ = in(hub_.options.header_seconds);
    switch (reader_.state()) {
      case RequestReader::State::head: arm(head_deadline_); return read();
      case RequestReader::State::body: {
        if (hub_.body_bytes > std::max(hub_.options.max_bodies, hub_.options.max_body)) {
          return refuse(too_busy("too much is being sent to this server at once; try again"));
        }
        if (before == RequestReader::State::head) {
          if (may_not_ask()) return;
          body_deadline_ = in(hub_.options.body_seconds);
          if (reader_.wants_continue()) return say_continue();
        }
        const double slowest = static_cast<double>(reader_.body_bytes()) / kBodyBytesASecond;
        arm(std::min(in(hub_.options.body_seconds), body_deadline_ + std::chrono::duration_cast<Clock::duration>(
                                                                         std::chrono::duration<double>(slowest))));
        return read();
      }
      case RequestReader::State::whole: return begin_handling();
      case RequestReader::State::answered: return answer();
    }
  }

  void count_body() {
    const uint64_t now = reader_.body_bytes();
    hub_.count_body(body_counted_, now);
    body_counted_ = now;
  }

  /// Whether the application refuses the request by its head, which is answered then.
  bool may_not_ask() {
    if (!hub_.options.on_head) return false;
    name_request();
    auto refusal = hub_.options.on_head(reader_.request());
    if (!refusal) return false;
    refuse({refusal->status, "", std::move(refusal->why), std::move(refusal->headers), std::move(refusal->body)});
    return true;
  }

  void say_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    arm(in(hub_.options.write_seconds));
    asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()),
                      guarded([](Link& it, Code error, size_t) {
                        if (it.phase_ != Phase::reading) return;
                        if (error) return it.close();
                        it.advance();
                      }));
  }

  void name_request() {
    reader_.request().peer = peer_;
    if (reader_.request().id.empty()) reader_.request().id = random_id("req_");
  }

  void begin_handling() {
    name_request();
    phase_ = Phase::handling;
    disarm();
    if (!hub_.workers.run([self = shared_from_this()] { self->handle(); })) {
      return refuse(too_busy("the system has no thread for this request; try again"));
    }
    read();
  }

  void begin_delivery(Delivery& delivery) {
    if (phase_ != Phase::handling) return delivery.done(false);
    try {
      arm(in(hub_.options.write_seconds));
      // Asked before every piece that the system takes: time counts from the last.
      const auto more = [this](Code error, size_t) -> size_t {
        if (!error) arm(in(hub_.options.write_seconds));
        return error ? 0 : size_t{256} << 10;
      };
      asio::async_write(socket_, delivery.pieces, more, [self = shared_from_this(), &delivery](Code error, size_t) {
        self->disarm();
        if (error) self->close();
        delivery.done(!error);
      });
    } catch (const std::exception&) {
      close();
      delivery.done(false);
    }
  }

  void handled(bool whole, bool keep) {
    if (phase_ == Phase::closed) return;
    // What was not ended must not look as if it were: no last chunk, and for those who read to the end, a reset.
    if (!whole && reader_.http_1_0()) {
      Code ignored;
      socket_.set_option(asio::socket_base::linger(true, 0), ignored);
      return close();
    }
    go_on(whole && keep);
  }

  void refuse(OwnReply reply) {
    reader_.refuse(std::move(reply));
    answer();
  }

  void answer() {
    name_request();
    const OwnReply& reply = reader_.answer();
    const Request& request = reader_.request();
    if (!reply.message.empty() && hub_.options.on_refusal)
      hub_.options.on_refusal(request, reply.status, reply.message);
    const bool keep = reader_.keep_alive() && !hub_.stopping;
    const std::string body = !reply.body.empty() ? reply.body : reply.message.empty() ? "" : error_json(reply);
    ReplyHead head{reply.status, {}, Framing::none, body.size(), keep, request.id, reader_.reply_headers(), reply.more};
    if (!body.empty()) {
      head.content_type = "application/json";
      head.framing = Framing::length;
    }
    out_ = reply_head_bytes(head);
    if (request.method != "HEAD") out_ += body;
    phase_ = Phase::answering;
    arm(in(hub_.options.write_seconds));
    asio::async_write(socket_, asio::buffer(out_), guarded([keep](Link& it, Code error, size_t) {
                        if (it.phase_ == Phase::closed) return;
                        if (error) return it.close();
                        it.go_on(keep);
                      }));
  }

  /// After a reply: the next request, or the end.
  void go_on(bool keep) {
    release_body();
    if (gone_ || read_closed_) return close();
    if (!keep || hub_.stopping) return linger();
    ++served_;
    reader_.next();
    phase_ = Phase::reading;
    head_deadline_ = in(hub_.options.idle_seconds);
    advance();
  }

  void linger() {
    phase_ = Phase::lingering;
    ahead_ = {};
    Code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    linger_deadline_ = in(kLingerAtMost);
    arm(in(kLingerSeconds));
    read();
  }

  void release_body() {
    reader_.request().body = {};
    hub_.count_body(std::exchange(body_counted_, 0), 0);
  }

  void close() {
    if (phase_ == Phase::closed) return;
    const auto self = shared_from_this();
    // A handler may still read the body; it goes with this object then.
    hub_.count_body(std::exchange(body_counted_, 0), 0);
    phase_ = Phase::closed;
    gone_ = true;
    Code ignored;
    timer_.cancel();
    socket_.shutdown(asio::socket_base::shutdown_both, ignored);
    socket_.close(ignored);
    hub_.open.erase(self);
  }

  /// One timer for all limits. It is seldom set anew: one that fires early looks at the deadline and sleeps again.
  void arm(Clock::time_point deadline) {
    deadline_ = deadline;
    if (!timer_pending_ || deadline_ < timer_.expiry()) sleep();
  }
  void disarm() { deadline_ = Clock::time_point::max(); }
  void sleep() {
    timer_.expires_at(deadline_);
    timer_pending_ = true;
    timer_.async_wait(guarded([](Link& it, Code error) {
      if (error || it.phase_ == Phase::closed) return;
      it.timer_pending_ = false;
      if (it.deadline_ == Clock::time_point::max()) return;
      if (Clock::now() < it.deadline_) return it.sleep();
      it.too_late();
    }));
  }

  void too_late() {
    if (phase_ != Phase::reading || !reader_.begun()) return close();
    refuse({408, "request_timeout", "the request did not arrive in time", {}});
  }

  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  Clock::time_point deadline_, head_deadline_, body_deadline_, linger_deadline_;
  bool timer_pending_ = false;
  Hub& hub_;
  RequestReader reader_;
  const std::string peer_;
  const bool counted_;
  Phase phase_ = Phase::reading;
  std::array<char, 16384> in_{};
  std::string ahead_, out_;
  bool read_pending_ = false, read_closed_ = false;
  int64_t served_ = 0;
  uint64_t body_counted_ = 0;
  std::atomic<bool> gone_ = false;
};

void Link::handle() {
  BlockingExchange exchange(*this);
  try {
    const std::string failure = exchange.run(hub_.handler);
    if (!failure.empty() && hub_.options.on_refusal) hub_.options.on_refusal(request(), 500, failure);
  } catch (const std::exception&) {
    // Not even the 500 could be sent: what is there of the reply is cut.
  }
  asio::post(socket_.get_executor(),
             guarded([whole = exchange.ended(), keep = exchange.keep_alive()](Link& it) { it.handled(whole, keep); }));
}

}  // namespace

void Hub::count_body(uint64_t before, uint64_t now) {
  constexpr uint64_t kTold = 1 << 20;
  body_bytes += now - before;
  const uint64_t change = body_bytes > bytes_told ? body_bytes - bytes_told : bytes_told - body_bytes;
  if (!options.on_bodies || (change < kTold && (body_bytes > 0 || bytes_told == 0))) return;
  bytes_told = body_bytes;
  options.on_bodies(body_bytes);
}

void open_connection(asio::io_context& io, int socket, int family, std::string peer, Hub& hub, bool too_many) {
  std::shared_ptr<Link> link;
  try {
    link = std::make_shared<Link>(io, socket, family, std::move(peer), hub, !too_many);
  } catch (...) {
    ::close(socket);
    throw;
  }
  hub.open.insert(link);
  try {
    link->begin();
  } catch (...) {
    link->cut();
    throw;
  }
}

}  // namespace ingrain::serve
