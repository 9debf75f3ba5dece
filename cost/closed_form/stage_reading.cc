#include "cost/closed_form/stage_reading.h"

#include <algorithm>

#include "cost/cost_model.h"
#include "model/plan/op_work.h"

namespace rehearse {
namespace {

class Reader {
 public:
  Reader(const StageProgram& made, const std::vector<PartPass>& parts, const RingGroup& tensor,
         const Device& device)
      : made_(made),
        program_(made.program()),
        parts_(parts),
        tensor_(tensor),
        device_(device),
        ends_(program_.ops.size()),
        is_last_(std::none_of(program_.lanes.begin(), program_.lanes.end(), [](const Lane& lane) {
          return lane.kind == LaneKind::receive_backward;
        })) {}

  StageReading run() {
    const std::vector<StageAction>& kinds = made_.actions();
    for (std::size_t a = 0; a < kinds.size(); ++a) {
      const StageReading::ActionReading read =
          read_action(kinds[a], made_.begin_of(a), made_.begin_of(a + 1));
      auto& known = reading_.actions[static_cast<std::size_t>(kinds[a])];
      if (!known.is_there) known = read;
      known.is_there = true;
    }
    return std::move(reading_);
  }

 private:
  StageReading::ActionReading read_action(StageAction kind, OpId begin, OpId end) {
    const bool is_a_pass = kind == StageAction::forward || kind == StageAction::backward ||
                           kind == StageAction::weight;
    if (is_a_pass) begin_pass(kind);
    StageReading::ActionReading read;
    const std::int64_t before = live_;
    std::size_t block = first_block_of(begin, end);
    std::vector<double> ready;  // of what is reduced
    for (std::size_t id = begin.index(); id < end.index(); ++id) {
      const Op& op = program_.ops[id];
      const LaneKind lane = program_.lanes[op.lane.index()].kind;
      if (lane == LaneKind::compute) {
        const double seconds = price(id);
        ends_[id] = computed_ = last_of(computed_, latest(op)).plus(seconds);
        read.times.busy += seconds;
        if (const auto part = made_.part_of(id)) {
          block = made_.block_of(id);
          read.passes.push_back(parts_[*part].cost);
        }
      } else if (lane == LaneKind::tensor) {
        ends_[id] = exchanged_ = last_of(exchanged_, latest(op)).plus(exchange(op).seconds());
      } else if (lane == LaneKind::collective) {
        ready.push_back(computed_.after(0, 0, 0));
      } else if (op.kind == OpKind::send) {
        send(kind, latest(op));
      }
      weigh(op, before, block, lane == LaneKind::collective, read);
    }
    if (is_a_pass) {
      read.times.computed = computed_;
      read.times.exchanged = exchanged_;
      read.times.output = last_of(computed_, exchanged_);
      read.times.length = computed_.after(0, 0, 0);
    }
    for (std::size_t k = 0; k < ready.size(); ++k)
      reading_.completions[reading_.completions.size() - ready.size() + k].ready =
          ready[k] - read.times.length;
    read.delta = live_ - before;
    return read;
  }

  // Whatever the program does before it is done; but its input may still be on its way.
  void begin_pass(StageAction kind) {
    ends_.assign(ends_.size(), Moment{});
    for (std::size_t id = 0; id < ends_.size(); ++id) {
      const LaneKind lane = program_.lanes[program_.ops[id].lane.index()].kind;
      // The last stage goes on from what tensor-parallel ranks know of the loss together.
      const bool is_input = (kind == StageAction::forward && lane == LaneKind::receive_forward) ||
                            (kind == StageAction::backward && lane == LaneKind::receive_backward) ||
                            (kind == StageAction::backward && is_last_ && lane == LaneKind::tensor);
      if (is_input) ends_[id].received = 0;
    }
    computed_ = {0, Moment::kNever, Moment::kNever};
    exchanged_ = {Moment::kNever, 0, Moment::kNever};
  }

  Moment latest(const Op& op) const {
    Moment latest;
    for (const OpId other : op.after)
      latest = last_of(latest, ends_[other.index()]);
    return latest;
  }

  // What the pass before it has made.
  void send(StageAction kind, const Moment& made) {
    const auto pass =
        kind == StageAction::send_forward ? StageAction::forward : StageAction::backward;
    PassTimes& times = reading_.actions[static_cast<std::size_t>(pass)].times;
    Moment& output = sent_[static_cast<std::size_t>(pass)];
    output = last_of(output, made);
    times.output = output;
  }

  void weigh(const Op& op, std::int64_t before, std::size_t block, bool reduces,
             StageReading::ActionReading& read) {
    std::int64_t received = 0;
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (!operand.allocates) continue;
      live_ += buffer.size.bytes();
      if (buffer.kind == BufferKind::communication) received += buffer.size.bytes();
    }
    if (reduces) {
      const auto number = reading_.completions.size();
      reading_.completions.push_back({made_.completion(number).block,
                                      made_.completion(number).segment, 0,
                                      live_ - received - before});
    } else {
      const bool same = !read.ops.empty() && read.ops.back().block == block;
      read.ops.push_back({block, same ? read.ops.back().order + 1 : 0, live_ - before});
    }
    for (const Operand& operand : op.operands) {
      if (operand.frees) live_ -= program_.buffers[operand.buffer.index()].size.bytes();
    }
  }

  // Where an action begins to compute.
  std::size_t first_block_of(OpId begin, OpId end) const {
    for (std::size_t id = begin.index(); id < end.index(); ++id) {
      if (made_.part_of(id)) return made_.block_of(id);
    }
    return 0;
  }

  double price(std::size_t id) const {
    const auto part = made_.part_of(id);
    if (part) return parts_[*part].cost.seconds();
    return price_work(load_work(program_, program_.ops[id]), device_).seconds.seconds();
  }

  Seconds exchange(const Op& op) const {
    const Collective& it = collective_of(op);
    return ring_seconds(tensor_, collective_kind(op.kind), device_, it.end - it.begin,
                        it.element_bytes);
  }

  const StageProgram& made_;
  const RankProgram& program_;
  const std::vector<PartPass>& parts_;
  const RingGroup& tensor_;
  const Device& device_;
  std::vector<Moment> ends_;     // by op
  const bool is_last_;           // stage
  Moment computed_, exchanged_;  // of the pass that is read, by the end of either lane
  Moment sent_[kStageActions];   // by pass: what is sent of it
  std::int64_t live_ = 0;        // of buffers that are not persistent
  StageReading reading_;
};

}  // namespace

StageReading read_stage(const StageProgram& program, const std::vector<PartPass>& parts,
                        const RingGroup& tensor, const Device& device) {
  return Reader(program, parts, tensor, device).run();
}

}  // namespace rehearse
