// A Redis of a test's own, that keeps every change on the disk before it answers.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/loopback.h"
#include "tests/support/run_program.h"

namespace sumi::test {

// One that nobody listened on a moment ago.
inline uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no free port");
  ::close(fd);
  return ntohs(address.sin_port);
}

class RedisServer {
 public:
  explicit RedisServer(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    signal(SIGPIPE, SIG_IGN);  // as the program does
    port_ = free_port();
    start();
  }
  uint16_t port() const { return port_; }

  void start() {
    child_ = std::make_unique<Child>(
        std::vector<std::string>{"/usr/bin/env", "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1",
                                 "--dir", folder_.string(), "--save", "", "--appendonly", "yes", "--appendfsync",
                                 "always"},
        RunOptions{});
    const bool ready =
        child_->wait_until([&] { return child_->out().find("Ready to accept connections") != std::string::npos; });
    if (!ready)
      throw std::runtime_error("redis-server does not start (`./ci.sh deps` installs it): " + child_->out() +
                               child_->err());
  }
  void stop() {
    child_->send(SIGKILL);
    child_->wait();
    child_.reset();
  }

 private:
  const std::filesystem::path folder_;
  uint16_t port_ = 0;
  std::unique_ptr<Child> child_;
};

}  // namespace sumi::test
