#include "model/schedule/schedule_shape/checks.h"

#include <fmt/format.h>

#include <map>

namespace rehearse::schedule_shape {
namespace {

// A stage that is never unsharded keeps its parameters; the others begin without them.
class Shards {
 public:
  explicit Shards(Sheet& sheet) : sheet_(sheet) {}

  void run() {
    sheet_.for_each_cell([&](Cell cell) {
      const Action& action = sheet_.at(cell);
      if (action.kind == ActionKind::unshard || action.kind == ActionKind::reshard)
        stages_.try_emplace(action.stage);
      if (action.kind == ActionKind::backward || action.kind == ActionKind::backward_weight)
        last_backward_[action.stage] = cell;
    });
    sheet_.for_each_cell([&](Cell cell) { check(cell); });
  }

 private:
  struct Stage {
    bool there = false;
    std::optional<Cell> since;  // the action that made it so
  };

  void check(Cell cell) {
    const Action& action = sheet_.at(cell);
    if (action.kind == ActionKind::reduce_gradients) return check_reduction(cell);
    const auto stage = stages_.find(action.stage);
    if (stage == stages_.end()) return;
    if (is_pass(action.kind)) return check_there(cell, stage->second, "needs parameters");
    if (action.kind == ActionKind::reshard) {
      check_there(cell, stage->second, "frees parameters");
      stage->second = {false, cell};
    } else if (action.kind == ActionKind::unshard) {
      if (stage->second.there) {
        sheet_.fail(
            cell, sheet_.describe(cell) + " gathers parameters that are there",
            {sheet_.note(*stage->second.since, "since " + sheet_.describe(*stage->second.since))});
      }
      stage->second = {true, cell};
    }
  }

  void check_there(Cell cell, const Stage& stage, std::string_view what) {
    if (stage.there) return;
    std::vector<Note> notes;
    if (stage.since)
      notes.push_back(sheet_.note(*stage.since, sheet_.describe(*stage.since) + " freed them"));
    sheet_.fail(cell, fmt::format("{} {} that are not there", sheet_.describe(cell), what), notes);
  }

  void check_reduction(Cell cell) {
    const auto last = last_backward_.find(sheet_.at(cell).stage);
    if (last == last_backward_.end() || last->second < cell) return;
    sheet_.fail(cell, sheet_.describe(cell) + " comes before the stage's last gradients",
                {sheet_.note(last->second, sheet_.describe(last->second) + " makes them")});
  }

  Sheet& sheet_;
  std::map<StageId, Stage> stages_;
  std::map<StageId, Cell> last_backward_;
};

}  // namespace

void check_shards(Sheet& sheet) {
  Shards(sheet).run();
}

}  // namespace rehearse::schedule_shape
