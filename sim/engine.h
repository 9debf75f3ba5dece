// The event queue: what happens when, in one total order.
//
// Events at one instant happen in the order in which they were scheduled (time, sequence number).
// Kept as a heap that knows where each event stands, so that a planned event can be moved: rates
// change far more often than work ends, and plans left behind would outnumber the events that
// count.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/base/ids.h"
#include "model/base/units.h"

namespace rehearse::sim {

using EventId = Id<struct EventTag>;

class Engine {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  // At `time`, which is not in the past. The id is good until the action is called. O(log events)
  EventId schedule(Time time, Action action);
  // To another time, as if it had not been scheduled before. O(log events)
  void reschedule(EventId event, Time time);
  // settle is called when everything that happens at one instant has happened, before time goes on;
  // it may schedule more. Returns when nothing is scheduled any more.
  void run(const std::function<void()>& settle);

 private:
  struct Event {
    Time time;
    std::uint64_t sequence = 0;
    EventId id;
    bool operator<(const Event& other) const {
      return time != other.time ? time < other.time : sequence < other.sequence;
    }
  };

  Event at(Time time, EventId id);
  Action take_first();
  void put(std::size_t place, const Event& event);
  void find_place(std::size_t hole, const Event& event);

  Time now_;
  std::uint64_t sequence_ = 0;
  std::vector<Event> heap_;          // no event before its parent
  std::vector<std::size_t> places_;  // in the heap, by event
  std::vector<Action> actions_;      // by event
  std::vector<EventId> free_;        // ids of events that are over
};

}  // namespace rehearse::sim
