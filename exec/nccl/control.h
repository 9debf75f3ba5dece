// What two ranks tell each other about their messages, over the host's transport: short texts of
// known length, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "exec/transport.h"

namespace rehearse::exec {

class ControlChannel {
 public:
  ControlChannel(Transport& carrier, RankId peer) : carrier_(carrier), peer_(peer) {}

  // One more text of this length will come.
  void expect(std::size_t bytes);
  // The next one, once it is here.
  std::optional<std::vector<std::byte>> hear();
  void say(std::span<const std::byte> text);
  // Of texts that the peer expects already: waits until it has them.
  void say_now(std::span<const std::byte> text);
  // Makes progress with what was said; whether the peer has it all.
  bool is_said();

 private:
  struct Text {
    std::vector<std::byte> bytes;  // where the carrier finds them
    Request request;
  };

  Transport& carrier_;
  const RankId peer_;
  std::deque<std::unique_ptr<Text>> expected_, said_;
};

}  // namespace rehearse::exec
