#include "exec/local/exchange.h"

namespace rehearse::exec {

Posted Exchange::post(Side side, const Route& route, std::size_t length) {
  Mailbox& mailbox = mailboxes_[route.to.index()];
  const std::scoped_lock lock(mailbox.mutex);
  const auto [place, fresh] = mailbox.queues.try_emplace({route.from, route.tag});
  Queue& queue = place->second;
  if (fresh || queue.side == side) {
    queue.side = side;
    auto message = std::make_shared<Message>();
    message->length = length;
    queue.waiting.push_back(message);
    return {message};
  }
  auto message = queue.waiting.front();
  if (message->length != length) return {message, true};
  queue.waiting.pop_front();
  // Plans have many tags, each used a few times: an empty queue would stay for ever.
  if (queue.waiting.empty()) mailbox.queues.erase(place);
  message->state.store(MessageState::matched, std::memory_order_release);
  return {message};
}

}  // namespace rehearse::exec
