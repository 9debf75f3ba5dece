#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "model/schedule/schedule_csv.h"

namespace rehearse {
namespace {

constexpr std::size_t kMostErrors = 20;

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

std::optional<Message> message_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::send_forward:
      return Message{ActionKind::receive_forward, true, true};
    case ActionKind::receive_forward:
      return Message{ActionKind::send_forward, true, false};
    case ActionKind::send_backward:
      return Message{ActionKind::receive_backward, false, true};
    case ActionKind::receive_backward:
      return Message{ActionKind::send_backward, false, false};
    case ActionKind::forward:
    case ActionKind::backward:
    case ActionKind::backward_input:
    case ActionKind::backward_weight:
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      return std::nullopt;
  }
  REHEARSE_UNREACHABLE("action kind");
}

std::string name_of(ActionKind kind, StageId stage, std::optional<MicroBatchId> micro_batch) {
  return to_string(Action{kind, stage, micro_batch});
}

// A table with its cells by what they do, and the errors found in it so far.
class Sheet {
 public:
  explicit Sheet(const ScheduleTable& table) : table(table) {}

  const Action& at(Cell cell) const { return table.ranks[cell.rank][cell.step]; }

  // "1F0 (rank 1, action 3)": actions count from 1, blanks do not count.
  std::string describe(Cell cell) const {
    return fmt::format("{} (rank {}, action {})", to_string(at(cell)), cell.rank, cell.step + 1);
  }
  std::optional<SourceSpan> place(Cell cell) const {
    if (table.places.empty()) return std::nullopt;
    return table.places[cell.rank][cell.step];
  }
  void fail(Cell cell, std::string message, std::vector<Note> notes = {}) {
    if (!full()) errors.push_back({place(cell), std::move(message), std::move(notes)});
  }
  Note note(Cell cell, std::string message) const { return {place(cell), std::move(message)}; }
  bool full() const { return errors.size() >= kMostErrors; }

  template <class Visit>
  void for_each_cell(Visit visit) const {
    for (std::size_t rank = 0; rank < table.ranks.size(); ++rank) {
      for (std::size_t step = 0; step < table.ranks[rank].size(); ++step)
        visit(Cell{rank, step});
    }
  }

  // Sharding may come and go; everything else happens once.
  void index() {
    for_each_cell([&](Cell cell) {
      const Action& action = at(cell);
      if (action.kind == ActionKind::unshard || action.kind == ActionKind::reshard) return;
      const auto [known, is_new] = cells_.try_emplace(key(action), cell);
      if (!is_new) {
        fail(cell, describe(cell) + " is there twice",
             {note(known->second, describe(known->second) + " is the first")});
      }
    });
  }
  std::optional<Cell> find(ActionKind kind, StageId stage,
                           std::optional<MicroBatchId> micro_batch) const {
    const auto found = cells_.find(key({kind, stage, micro_batch}));
    return found == cells_.end() ? std::nullopt : std::optional(found->second);
  }
  // The pass after which the gradient of the stage's input is there.
  std::optional<Cell> find_backward(StageId stage, std::optional<MicroBatchId> m) const {
    const auto whole = find(ActionKind::backward, stage, m);
    return whole ? whole : find(ActionKind::backward_input, stage, m);
  }

  const ScheduleTable& table;
  Diagnostics errors;

 private:
  using Key = std::tuple<ActionKind, StageId, std::optional<MicroBatchId>>;
  static Key key(const Action& action) { return {action.kind, action.stage, action.micro_batch}; }

  std::map<Key, Cell> cells_;
};

// ---- where the stages stand ------------------------------------------------------------------

class Stages {
 public:
  explicit Stages(Sheet& sheet) : sheet_(sheet) {}

  std::optional<PipelineShape> run() {
    sheet_.for_each_cell([&](Cell cell) { place(cell); });
    if (first_.empty()) sheet_.errors = error("a schedule without passes");
    check_numbers();
    if (!sheet_.errors.empty()) return std::nullopt;
    return shape();
  }

  // A cell of the stage, to point at.
  Cell cell_of(StageId stage) const { return first_.at(stage); }

 private:
  void place(Cell cell) {
    const auto [known, is_new] = first_.try_emplace(sheet_.at(cell).stage, cell);
    if (is_new || known->second.rank == cell.rank) return;
    sheet_.fail(cell,
                fmt::format("stage {} stands on rank {} and on rank {}", known->first.value(),
                            known->second.rank, cell.rank),
                {sheet_.note(known->second, sheet_.describe(known->second) + " is its first")});
  }

  void check_numbers() {
    std::size_t expected = 0;
    for (const auto& [stage, cell] : first_) {
      if (stage.index() != expected) {
        return sheet_.fail(cell, fmt::format("stage {} is missing, but {} is there", expected,
                                             sheet_.describe(cell)));
      }
      ++expected;
    }
  }

  std::optional<PipelineShape> shape() {
    const std::size_t ranks = sheet_.table.ranks.size();
    if (first_.size() % ranks != 0) {
      sheet_.errors =
          error(fmt::format("{} stages do not share {} ranks evenly", first_.size(), ranks));
      return std::nullopt;
    }
    PipelineShape shape;
    shape.ranks = static_cast<std::int64_t>(ranks);
    shape.chunks = static_cast<std::int64_t>(first_.size() / ranks);
    const auto off_loop = first_elsewhere(shape);
    if (!off_loop) return shape;
    shape.placement = Placement::vee;
    const auto off_vee = first_elsewhere(shape);
    if (!off_vee) return shape;
    shape.placement = Placement::loop;
    sheet_.fail(cell_of(*off_loop), misplaced(*off_loop, shape, "in a loop"),
                {vee_note(*off_vee, {shape.ranks, shape.chunks, 1, Placement::vee})});
    return std::nullopt;
  }

  std::optional<StageId> first_elsewhere(const PipelineShape& shape) const {
    for (const auto& [stage, cell] : first_) {
      if (rank_of(shape, stage) != cell.rank) return stage;
    }
    return std::nullopt;
  }
  std::string misplaced(StageId stage, const PipelineShape& shape, std::string_view what) const {
    return fmt::format("stage {} stands on rank {}; {} it would be on rank {}", stage.value(),
                       cell_of(stage).rank, what, rank_of(shape, stage));
  }
  Note vee_note(StageId stage, const PipelineShape& shape) const {
    return sheet_.note(cell_of(stage), misplaced(stage, shape, "in a vee"));
  }

  Sheet& sheet_;
  std::map<StageId, Cell> first_;
};

// ---- passes ----------------------------------------------------------------------------------

class Passes {
 public:
  Passes(Sheet& sheet, const Stages& stages, PipelineShape& shape)
      : sheet_(sheet), stages_(stages), shape_(shape) {}

  void run() {
    count_micro_batches();
    for (std::int64_t s = 0; s < shape_.stages(); ++s) {
      for (std::int64_t m = 0; m < shape_.micro_batches && !sheet_.full(); ++m)
        check(StageId(s), MicroBatchId(m));
    }
  }

 private:
  void count_micro_batches() {
    std::map<MicroBatchId, Cell> first;
    sheet_.for_each_cell([&](Cell cell) {
      const Action& action = sheet_.at(cell);
      if (is_pass(action.kind) && action.micro_batch) first.try_emplace(*action.micro_batch, cell);
    });
    shape_.micro_batches = 0;
    for (const auto& [m, cell] : first) {
      if (m.index() != static_cast<std::size_t>(shape_.micro_batches)) {
        return sheet_.fail(cell, fmt::format("micro-batch {} is missing, but {} is there",
                                             shape_.micro_batches, sheet_.describe(cell)));
      }
      ++shape_.micro_batches;
    }
  }

  void check(StageId s, MicroBatchId m) {
    const auto forward = sheet_.find(ActionKind::forward, s, m);
    const auto whole = sheet_.find(ActionKind::backward, s, m);
    const auto input = sheet_.find(ActionKind::backward_input, s, m);
    const auto weight = sheet_.find(ActionKind::backward_weight, s, m);
    if (!forward) missing(ActionKind::forward, s, m);
    if (!whole && !input && !weight) missing(ActionKind::backward, s, m);
    if (whole && (input || weight)) {
      const Cell part = input ? *input : *weight;
      sheet_.fail(part, sheet_.describe(part) + " is part of a backward pass that also runs whole",
                  {sheet_.note(*whole, "as " + sheet_.describe(*whole))});
    }
    if (input && !weight) missing(ActionKind::backward_weight, s, m);
    if (weight && !input) missing(ActionKind::backward_input, s, m);
    in_order(forward, whole);
    in_order(forward, input);
    in_order(input, weight);
  }

  void missing(ActionKind kind, StageId s, MicroBatchId m) {
    const Cell stage = stages_.cell_of(s);
    sheet_.fail(stage, fmt::format("rank {}, which has stage {}, has no {}", stage.rank, s.value(),
                                   name_of(kind, s, m)));
  }

  void in_order(std::optional<Cell> before, std::optional<Cell> after) {
    if (!before || !after || *before < *after) return;
    sheet_.fail(*after, sheet_.describe(*after) + " stands before what it needs",
                {sheet_.note(*before, "it needs " + sheet_.describe(*before))});
  }

  Sheet& sheet_;
  const Stages& stages_;
  PipelineShape& shape_;
};

// ---- messages --------------------------------------------------------------------------------

class Messages {
 public:
  Messages(Sheet& sheet, const PipelineShape& shape) : sheet_(sheet), shape_(shape) {}

  void run() {
    sheet_.for_each_cell([&](Cell cell) {
      const Action& action = sheet_.at(cell);
      if (const auto message = message_of(action.kind)) check(cell, *message);
      if (action.kind == ActionKind::forward) needs_message(cell, true);
      if (action.kind == ActionKind::backward || action.kind == ActionKind::backward_input)
        needs_message(cell, false);
    });
    if (sheet_.errors.empty()) check_order();
  }

 private:
  void check(Cell cell, const Message& message) {
    const Action& action = sheet_.at(cell);
    const auto neighbour = next_to(action.stage, message.upwards());
    if (!neighbour) {
      return sheet_.fail(cell,
                         fmt::format("{}: there is no stage {} stage {}", sheet_.describe(cell),
                                     message.upwards() ? "after" : "before", action.stage.value()));
    }
    if (rank_of(shape_, *neighbour) == cell.rank) {
      return sheet_.fail(
          cell, fmt::format("{}: stages {} and {} are both on rank {}", sheet_.describe(cell),
                            action.stage.value(), neighbour->value(), cell.rank));
    }
    if (!sheet_.find(message.other, *neighbour, action.micro_batch)) {
      sheet_.fail(cell, fmt::format("{}: rank {} has no {} for it", sheet_.describe(cell),
                                    rank_of(shape_, *neighbour),
                                    name_of(message.other, *neighbour, action.micro_batch)));
    }
    check_side(cell, message);
  }

  void check_side(Cell cell, const Message& message) {
    const Action& action = sheet_.at(cell);
    const auto pass = message.forward
                          ? sheet_.find(ActionKind::forward, action.stage, action.micro_batch)
                          : sheet_.find_backward(action.stage, action.micro_batch);
    if (!pass) {
      return sheet_.fail(cell, fmt::format("{}: there are only {} micro-batches",
                                           sheet_.describe(cell), shape_.micro_batches));
    }
    if (message.sends && cell < *pass) {
      sheet_.fail(cell, sheet_.describe(cell) + " sends what is not made yet",
                  {sheet_.note(*pass, sheet_.describe(*pass) + " makes it")});
    }
    if (!message.sends && *pass < cell) {
      sheet_.fail(cell, sheet_.describe(cell) + " comes after the pass that needs it",
                  {sheet_.note(*pass, sheet_.describe(*pass) + " needs it")});
    }
  }

  // One end without the other is found from that end.
  void needs_message(Cell cell, bool forward) {
    const Action& action = sheet_.at(cell);
    const auto source = next_to(action.stage, !forward);
    if (!source || rank_of(shape_, *source) == cell.rank) return;
    const auto receive = forward ? ActionKind::receive_forward : ActionKind::receive_backward;
    const auto send = forward ? ActionKind::send_forward : ActionKind::send_backward;
    if (sheet_.find(receive, action.stage, action.micro_batch)) return;
    if (sheet_.find(send, *source, action.micro_batch)) return;
    sheet_.fail(cell, fmt::format("{} needs a message from rank {}: there is neither {} nor {}",
                                  sheet_.describe(cell), rank_of(shape_, *source),
                                  name_of(send, *source, action.micro_batch),
                                  name_of(receive, action.stage, action.micro_batch)));
  }

  // What a stream carries arrives in the order in which it was sent.
  void check_order() {
    std::map<std::pair<ActionKind, StageId>, std::vector<Cell>> streams;
    sheet_.for_each_cell([&](Cell cell) {
      const Action& action = sheet_.at(cell);
      if (message_of(action.kind)) streams[{action.kind, action.stage}].push_back(cell);
    });
    for (const auto& [end, sends] : streams) {
      const auto message = message_of(end.first);
      if (!message->sends) continue;
      const auto& receives = streams.at({message->other, *next_to(end.second, message->upwards())});
      compare(sends, receives);
    }
  }

  void compare(const std::vector<Cell>& sends, const std::vector<Cell>& receives) {
    for (std::size_t i = 0; i < sends.size(); ++i) {
      if (sheet_.at(sends[i]).micro_batch == sheet_.at(receives[i]).micro_batch) continue;
      return sheet_.fail(receives[i],
                         fmt::format("{} is not the next that rank {} sends",
                                     sheet_.describe(receives[i]), sends[i].rank),
                         {sheet_.note(sends[i], sheet_.describe(sends[i]) + " is")});
    }
  }

  std::optional<StageId> next_to(StageId stage, bool upwards) const {
    if (!upwards)
      return stage.index() == 0 ? std::nullopt : std::optional(StageId(stage.index() - 1));
    const std::size_t next = stage.index() + 1;
    if (static_cast<std::int64_t>(next) >= shape_.stages()) return std::nullopt;
    return StageId(next);
  }

  Sheet& sheet_;
  const PipelineShape& shape_;
};

// ---- sharded parameters ----------------------------------------------------------------------

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

// ---- dry run ---------------------------------------------------------------------------------

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

Result<PipelineShape> shape_of(const ScheduleTable& table) {
  Sheet sheet(table);
  Stages stages(sheet);
  auto shape = stages.run();
  if (!shape) return std::move(sheet.errors);
  sheet.index();
  Passes(sheet, stages, *shape).run();
  if (sheet.errors.empty() && table.has_messages) {
    Messages(sheet, *shape).run();
    Shards(sheet).run();
  }
  if (sheet.errors.empty()) DryRun(sheet, *shape).run();
  if (!sheet.errors.empty()) return std::move(sheet.errors);
  return *shape;
}

}  // namespace rehearse
