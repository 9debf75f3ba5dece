// The event queue: what happens when, in one total order.
//
// Events at one instant happen in the order in which they were scheduled (time, sequence number).
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "model/base/units.h"

namespace rehearse::sim {

class Engine {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  // At `time`, which is not in the past.
  void schedule(Time time, Action action);
  // settle is called when everything that happens at one instant has happened, before time goes on;
  // it may schedule more. Returns when nothing is scheduled any more.
  void run(const std::function<void()>& settle);

  std::uint64_t events() const { return sequence_; }

 private:
  // Small, so that the heap moves little; the action waits in its slot.
  struct Event {
    Time time;
    std::uint64_t sequence;
    std::size_t slot;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
    }
  };
  Time now_;
  std::uint64_t sequence_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  std::vector<Action> actions_;
  std::vector<std::size_t> free_;  // slots of actions_
};

}  // namespace rehearse::sim
