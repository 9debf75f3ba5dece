#include "sim/engine.h"

#include <algorithm>
#include <utility>

#include "model/base/check.h"

namespace rehearse::sim {
namespace {
constexpr std::size_t kArity = 4;  // flatter than a binary heap, and children lie side by side
}  // namespace

EventId Engine::schedule(Time time, Action action) {
  if (free_.empty()) {
    free_.emplace_back(actions_.size());
    actions_.emplace_back();
    places_.emplace_back();
  }
  const Event event = at(time, free_.back());
  free_.pop_back();
  actions_[event.id.index()] = std::move(action);
  heap_.emplace_back();
  find_place(heap_.size() - 1, event);
  return event.id;
}

void Engine::reschedule(EventId id, Time time) {
  const std::size_t place = places_[id.index()];
  REHEARSE_CHECK(place < heap_.size() && heap_[place].id == id, "event {} is over", id.value());
  find_place(place, at(time, id));
}

Engine::Event Engine::at(Time time, EventId id) {
  REHEARSE_CHECK(time >= now_, "an event at {} ps, now is {} ps", time.picoseconds(),
                 now_.picoseconds());
  return {time, sequence_++, id};
}

void Engine::run(const std::function<void()>& settle) {
  while (true) {
    if (heap_.empty() || heap_.front().time > now_) settle();
    if (heap_.empty()) return;
    now_ = heap_.front().time;
    const Action action = take_first();
    action();
  }
}

// Out of its slot: the action may schedule others, which may move the slots.
Engine::Action Engine::take_first() {
  const EventId first = heap_.front().id;
  const Event last = heap_.back();
  heap_.pop_back();
  if (!heap_.empty()) find_place(0, last);
  free_.push_back(first);
  return std::exchange(actions_[first.index()], nullptr);
}

void Engine::put(std::size_t place, const Event& event) {
  heap_[place] = event;
  places_[event.id.index()] = place;
}

// Moves the hole up, or else down, to where the event belongs.
void Engine::find_place(std::size_t hole, const Event& event) {
  while (hole > 0 && event < heap_[(hole - 1) / kArity]) {
    const std::size_t parent = (hole - 1) / kArity;
    put(hole, heap_[parent]);
    hole = parent;
  }
  for (std::size_t first = hole * kArity + 1; first < heap_.size(); first = hole * kArity + 1) {
    const auto begin = heap_.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end =
        heap_.begin() + static_cast<std::ptrdiff_t>(std::min(first + kArity, heap_.size()));
    const auto next = std::min_element(begin, end);
    if (!(*next < event)) break;
    put(hole, *next);
    hole = static_cast<std::size_t>(next - heap_.begin());
  }
  put(hole, event);
}

}  // namespace rehearse::sim
