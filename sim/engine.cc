#include "sim/engine.h"

#include <utility>

#include "model/base/check.h"

namespace rehearse::sim {

void Engine::schedule(Time time, Action action) {
  REHEARSE_CHECK(time >= now_, "an event at {} ps, now is {} ps", time.picoseconds(),
                 now_.picoseconds());
  if (free_.empty()) {
    free_.push_back(actions_.size());
    actions_.emplace_back();
  }
  const std::size_t slot = free_.back();
  free_.pop_back();
  actions_[slot] = std::move(action);
  queue_.push({time, sequence_++, slot});
}

void Engine::run(const std::function<void()>& settle) {
  while (true) {
    if (queue_.empty() || queue_.top().time > now_) settle();
    if (queue_.empty()) return;
    const Event event = queue_.top();
    queue_.pop();
    now_ = event.time;
    // The action may schedule others, which may move the slots.
    const Action action = std::exchange(actions_[event.slot], nullptr);
    free_.push_back(event.slot);
    action();
  }
}

}  // namespace rehearse::sim
