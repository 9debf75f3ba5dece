#include <algorithm>
#include <functional>
#include <set>

#include "model/base/check.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool is_between_stages(LaneKind lane) {
  switch (lane) {
    case LaneKind::send_forward:
    case LaneKind::receive_forward:
    case LaneKind::send_backward:
    case LaneKind::receive_backward:
      return true;
    case LaneKind::compute:
    case LaneKind::collective:
    case LaneKind::gather:
    case LaneKind::tensor:
      return false;
  }
  REHEARSE_UNREACHABLE("lane kind");
}

// A program's lanes, stages, classes and buffers.
class ProgramStructure {
 public:
  ProgramStructure(Report& report, std::size_t number)
      : report_(report), number_(number), program_(report.plan.programs[number]) {}

  void run() {
    check_lanes();
    check_stages();
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      check_holders(c);
      check_shards(c);
    }
    check_micro_batches();
    for (std::size_t b = 0; b < program_.buffers.size(); ++b)
      check_buffer(b);
  }

 private:
  void check_lanes() {
    const std::set<Lane> lanes(program_.lanes.begin(), program_.lanes.end());
    if (lanes.size() != program_.lanes.size())
      report_.add_program(number_, "two lanes of one kind and stage");
    // Ops that work on one class, or meet over one group, are in order by their lane.
    for (const Lane& lane : program_.lanes) {
      if (is_between_stages(lane.kind) || lane.stage == StageId(0)) continue;
      report_.add_program(number_, fmt::format("a {} lane of stage {}: a rank has one of them",
                                               to_string(lane.kind), lane.stage.value()));
    }
  }

  void check_stages() {
    if (program_.stages.empty()) report_.add_program(number_, "it has no stages");
    for (std::size_t s = 0; s < program_.stages.size(); ++s) {
      const Stage& stage = program_.stages[s];
      if (stage.begin >= stage.end)
        report_.add_program(number_, fmt::format("stage {} has no segments", stage.number.value()));
      if (s == 0) continue;
      const Stage& before = program_.stages[s - 1];
      if (before.number >= stage.number || before.end > stage.begin) {
        report_.add_program(number_, fmt::format("stage {} does not come after stage {}",
                                                 stage.number.value(), before.number.value()));
      }
    }
  }

  // Every micro-batch has ops of its own, if only to pass it on.
  void check_micro_batches() {
    if (program_.micro_batches < 1) report_.add_program(number_, "it has no micro-batches");
    if (program_.micro_batches <= static_cast<std::int64_t>(program_.ops.size())) return;
    report_.add_program(number_, fmt::format("{} micro-batches, but {} ops", program_.micro_batches,
                                             program_.ops.size()));
  }

  // Who has it, and why.
  void check_holders(std::size_t c) {
    const ParameterClass& held = program_.parameter_classes[c];
    const bool masks_backward = report_.plan.masking == Masking::backward;
    if (held.readers && !masks_backward)
      report_.add_program(number_, fmt::format("class {} has readers, but what is not held is "
                                               "absent: its masking is forward",
                                               c));
    if (is_parked(held) && masks_backward)
      report_.add_program(number_, fmt::format("class {} is only read, but has no readers", c));
    if (!held.is_held && (held.group || held.sharding != Sharding::none))
      report_.add_program(number_, fmt::format("class {} is {}, but has holders' group or shards",
                                               c, held.readers ? "only read" : "parked"));
    if (is_parked(held) && held.holders != 0)
      report_.add_program(number_,
                          fmt::format("class {} is parked, but has {} holders", c, held.holders));
  }

  void check_shards(std::size_t c) {
    const ParameterClass& held = program_.parameter_classes[c];
    if (held.sharding == Sharding::none) {
      if (!held.buckets.empty())
        report_.add_program(number_, fmt::format("class {} has buckets, but is not sharded", c));
      return;
    }
    const bool ascending =
        std::is_sorted(held.buckets.begin(), held.buckets.end(), std::less_equal<std::int64_t>());
    const bool whole =
        !held.buckets.empty() && held.buckets.front() > 0 && held.buckets.back() == held.elements;
    if (!held.group || !ascending || !whole) {
      report_.add_program(
          number_,
          fmt::format("class {} is sharded, but {}", c,
                      held.group ? "its buckets do not make up the whole of it" : "has no group"));
    }
  }

  void check_buffer(std::size_t b) {
    const Buffer& buffer = program_.buffers[b];
    const bool of_value = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    const bool of_class = is_persistent(buffer.kind) || holds_range(buffer.kind);
    if (of_value != buffer.value.has_value() || of_class != buffer.parameter_class.has_value()) {
      return report_.add_program(number_,
                                 fmt::format("buffer {} ({}) has {}", b, to_string(buffer.kind),
                                             of_value   ? "no value, or a parameter class"
                                             : of_class ? "no parameter class, or a value"
                                                        : "a value or a parameter class"));
    }
    if (of_class) check_class_of(buffer);
  }

  void check_class_of(const Buffer& buffer) {
    const std::size_t classes = program_.parameter_classes.size();
    if (buffer.parameter_class->index() >= classes) {
      return report_.add_program(number_,
                                 fmt::format("a buffer of parameter class {}, but there are {}",
                                             buffer.parameter_class->value(), classes));
    }
    const auto& held = program_.parameter_classes[buffer.parameter_class->index()];
    const bool reads = buffer.kind == BufferKind::parameters || buffer.kind == BufferKind::gathered;
    const bool waits = is_parked(held) && (buffer.kind == BufferKind::optimizer_state ||
                                           buffer.kind == BufferKind::outer_state);
    if (!reads && !waits && !held.is_held)
      report_.add_program(
          number_,
          fmt::format("a buffer of {} of class {}, which is {}", to_string(buffer.kind),
                      buffer.parameter_class->value(), held.readers ? "only read" : "parked"));
    if (!holds_range(buffer.kind)) return;
    if (buffer.begin < 0 || buffer.begin >= buffer.end || buffer.end > held.elements)
      report_.add_program(number_, fmt::format("a buffer of elements {}..{} of {}", buffer.begin,
                                               buffer.end, held.elements));
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
};

}  // namespace

void check_program(Report& report, std::size_t program) {
  ProgramStructure(report, program).run();
}

}  // namespace rehearse::verifier
