#include "model/schedule/schedule_shape/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace rehearse::schedule_shape {
namespace {

// What an action waits for: the pass before it on its rank, or the message before it in its stream;
// and what makes its input. If these waits have a circle, the schedule never ends.
class DryRun {
 public:
  DryRun(Sheet& sheet, const PipelineShape& shape) : sheet_(sheet), shape_(shape) {}

  void run() {
    sheet_.for_each_cell([&](Cell cell) { connect(cell); });
    play();
    for (const auto& [cell, waits] : waits_) {
      if (done_.count(cell) == 0) return report(cell);
    }
  }

 private:
  void connect(Cell cell) {
    const Action& action = sheet_.at(cell);
    const auto message = message_of(action.kind);
    if (!is_pass(action.kind) && !message) return;  // follows its own rank's order, holds up nobody
    auto& waits = waits_[cell];
    const auto stream = message ? Stream{cell.rank, action.kind, action.stage}
                                : Stream{cell.rank, ActionKind::forward, StageId()};
    const auto [last, is_first] = last_.try_emplace(stream, cell);
    if (!is_first) waits.push_back(std::exchange(last->second, cell));
    const auto source = message ? source_of(action, *message) : source_of(action);
    if (source) waits.push_back(*source);
    for (const Cell before : waits)
      successors_[before].push_back(cell);
  }

  std::optional<Cell> source_of(const Action& action, const Message& message) const {
    if (message.sends) {
      return message.forward ? sheet_.find(ActionKind::forward, action.stage, action.micro_batch)
                             : sheet_.find_backward(action.stage, action.micro_batch);
    }
    const auto stage = message.forward ? action.stage.index() - 1 : action.stage.index() + 1;
    return sheet_.find(message.other, StageId(stage), action.micro_batch);
  }

  std::optional<Cell> source_of(const Action& action) const {
    const std::size_t s = action.stage.index();
    const auto m = action.micro_batch;
    if (action.kind == ActionKind::backward_weight)
      return std::nullopt;  // its rank's order says it
    if (action.kind == ActionKind::forward) {
      if (s == 0) return std::nullopt;
      const auto receive = sheet_.find(ActionKind::receive_forward, action.stage, m);
      return receive ? receive : sheet_.find(ActionKind::forward, StageId(s - 1), m);
    }
    if (static_cast<std::int64_t>(s) + 1 == shape_.stages()) return std::nullopt;
    const auto receive = sheet_.find(ActionKind::receive_backward, action.stage, m);
    return receive ? receive : sheet_.find_backward(StageId(s + 1), m);
  }

  void play() {
    std::map<Cell, std::size_t> open;
    std::vector<Cell> ready;
    for (const auto& [cell, waits] : waits_) {
      open[cell] = waits.size();
      if (waits.empty()) ready.push_back(cell);
    }
    while (!ready.empty()) {
      const Cell cell = ready.back();
      ready.pop_back();
      done_.insert(cell);
      for (const Cell next : successors_[cell]) {
        if (--open[next] == 0) ready.push_back(next);
      }
    }
  }

  // From an action that never runs, along what it waits for, until the circle closes.
  void report(Cell cell) {
    std::vector<Cell> path;
    while (std::find(path.begin(), path.end(), cell) == path.end()) {
      path.push_back(cell);
      const auto& waits = waits_.at(cell);
      cell = *std::find_if(waits.begin(), waits.end(),
                           [&](Cell before) { return done_.count(before) == 0; });
    }
    path.erase(path.begin(), std::find(path.begin(), path.end(), cell));
    std::vector<Note> notes;
    for (std::size_t i = 1; i < path.size(); ++i)
      notes.push_back(waiting(path[i], path[(i + 1) % path.size()]));
    sheet_.fail(path[0], "deadlock: " + waiting(path[0], path[1 % path.size()]).message, notes);
  }
  Note waiting(Cell cell, Cell before) const {
    return sheet_.note(cell, sheet_.describe(cell) + " waits for " + sheet_.describe(before));
  }

  using Stream = std::tuple<std::size_t, ActionKind, StageId>;

  Sheet& sheet_;
  const PipelineShape& shape_;
  std::map<Cell, std::vector<Cell>> waits_, successors_;
  std::map<Stream, Cell> last_;
  std::set<Cell> done_;
};

}  // namespace

void dry_run(Sheet& sheet, const PipelineShape& shape) {
  DryRun(sheet, shape).run();
}

}  // namespace rehearse::schedule_shape
