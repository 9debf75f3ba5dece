#include "model/schedule/schedule_shape/checks.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace rehearse::schedule_shape {
namespace {

std::string name_of(ActionKind kind, StageId stage, std::optional<MicroBatchId> micro_batch) {
  return to_string(Action{kind, stage, micro_batch});
}

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

}  // namespace

void check_messages(Sheet& sheet, const PipelineShape& shape) {
  Messages(sheet, shape).run();
}

}  // namespace rehearse::schedule_shape
