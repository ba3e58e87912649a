#!/usr/bin/env bash
# Boost.Beast up to 1.86 (Debian 12 has 1.74 and 1.81, Ubuntu 24.04 1.83): parser.header_limit(n) holds for what lies before the parser at
# once, not for the head. A client that sends a field and the first letter of the next, again and again, makes http::read_header keep as
# many fields as it likes: here 10 MB with a limit of 1,000 bytes. Later versions count. Who serves with an older one counts by himself.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work" && apt-get -qq download libboost1.81-dev=1.81.0-5+deb12u1 2>/dev/null && dpkg -x libboost1.81-dev*.deb boost
cat > limit.cpp <<'CPP'
#include <utility>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <iostream>
namespace http = boost::beast::http;
struct PieceByPiece {
  size_t given = 0;
  template <class Buffers>
  size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    if (given > 10'000'000) return error = boost::asio::error::eof, 0;
    const std::string piece = given == 0 ? "GET / HTTP/1.1\r\nA" : ": b\r\nA";
    given += piece.size();
    return boost::asio::buffer_copy(buffers, boost::asio::buffer(piece));
  }
  template <class Buffers>
  size_t read_some(const Buffers& buffers) { boost::system::error_code error; return read_some(buffers, error); }
};
int main() {
  PieceByPiece stream;
  boost::beast::flat_buffer buffer(4096);
  http::request_parser<http::empty_body> parser;
  parser.header_limit(1000);
  boost::system::error_code error;
  http::read_header(stream, buffer, parser, error);
  std::cout << "Boost " << BOOST_LIB_VERSION << ": header_limit(1000), " << stream.given << " bytes of head read, "
            << std::distance(parser.get().begin(), parser.get().end()) << " fields kept; then: " << error.message() << "\n";
  return error == http::error::header_limit || stream.given < 1'000'000;
}
CPP
g++ -std=c++20 -O1 -isystem boost/usr/include limit.cpp -o limit -pthread && ./limit
