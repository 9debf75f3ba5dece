#include "exec/nccl/control.h"

#include <utility>

#include "exec/message_transport.h"

namespace rehearse::exec {

void ControlChannel::expect(std::size_t bytes) {
  auto text = std::make_unique<Text>(Text{std::vector<std::byte>(bytes), {}});
  text->request = carrier_.receive(peer_, kControlTag, text->bytes);
  expected_.push_back(std::move(text));
}

std::optional<std::vector<std::byte>> ControlChannel::hear() {
  if (expected_.empty() || !carrier_.test(expected_.front()->request)) return std::nullopt;
  std::vector<std::byte> bytes = std::move(expected_.front()->bytes);
  expected_.pop_front();
  return bytes;
}

void ControlChannel::say(std::span<const std::byte> text) {
  auto copy = std::make_unique<Text>(Text{{text.begin(), text.end()}, {}});
  copy->request = carrier_.send(peer_, kControlTag, copy->bytes);
  said_.push_back(std::move(copy));
}

void ControlChannel::say_now(std::span<const std::byte> text) {
  say(text);
  const std::unique_ptr<Text> last = std::move(said_.back());
  said_.pop_back();
  wait_all(carrier_, {&last->request, 1});
}

bool ControlChannel::is_said() {
  std::erase_if(said_, [&](const auto& text) { return carrier_.test(text->request); });
  return said_.empty();
}

}  // namespace rehearse::exec
