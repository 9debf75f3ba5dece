// A schedule's table with its cells by what they do, and the errors found in it so far.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/schedule/schedule_csv.h"

namespace rehearse::schedule_shape {

struct Cell {
  std::size_t rank = 0, step = 0;
  friend auto operator<=>(const Cell&, const Cell&) = default;
};

// The other end of a message, and the pass on this end that makes or takes what it carries.
struct Message {
  ActionKind other;
  bool forward, sends;
  // The neighbouring stage is the next one, or the one before.
  bool upwards() const { return forward == sends; }
};
// None: it is no message.
std::optional<Message> message_of(ActionKind kind);

class Sheet {
 public:
  explicit Sheet(const ScheduleTable& table) : table(table) {}

  const Action& at(Cell cell) const { return table.ranks[cell.rank][cell.step]; }
  template <class Visit>
  void for_each_cell(Visit visit) const {
    for (std::size_t rank = 0; rank < table.ranks.size(); ++rank) {
      for (std::size_t step = 0; step < table.ranks[rank].size(); ++step)
        visit(Cell{rank, step});
    }
  }

  // Everything happens once, but that sharding may come and go.
  void index();
  // After index().
  std::optional<Cell> find(ActionKind kind, StageId stage,
                           std::optional<MicroBatchId> micro_batch) const;
  // The pass after which the gradient of the stage's input is there.
  std::optional<Cell> find_backward(StageId stage, std::optional<MicroBatchId> micro_batch) const;

  // "1F0 (rank 1, action 3)": actions count from 1, blanks do not count.
  std::string describe(Cell cell) const;
  Note note(Cell cell, std::string message) const { return {place(cell), std::move(message)}; }
  // The first errors are kept.
  void fail(Cell cell, std::string message, std::vector<Note> notes = {});
  bool full() const;

  const ScheduleTable& table;
  Diagnostics errors;

 private:
  using Key = std::tuple<ActionKind, StageId, std::optional<MicroBatchId>>;
  static Key key(const Action& action) { return {action.kind, action.stage, action.micro_batch}; }

  std::optional<SourceSpan> place(Cell cell) const;

  std::map<Key, Cell> cells_;
};

}  // namespace rehearse::schedule_shape
