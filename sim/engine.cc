#include "sim/engine.h"

#include "model/base/check.h"

namespace rehearse::sim {

void Engine::schedule(Time time, Action action) {
  REHEARSE_CHECK(time >= now_, "an event at {} ps, now is {} ps", time.picoseconds(),
                 now_.picoseconds());
  queue_.push({time, sequence_++, std::move(action)});
}

void Engine::run(const std::function<void()>& settle) {
  while (true) {
    if (queue_.empty() || queue_.top().time > now_) settle();
    if (queue_.empty()) return;
    // The queue gives const access only; the action may be moved out of an element that goes.
    Event event = std::move(const_cast<Event&>(queue_.top()));
    queue_.pop();
    now_ = event.time;
    event.action();
  }
}

}  // namespace rehearse::sim
