// Which buffers an op's work needs, and what it does with each: what lowering says of a pass, and
// what the plan's form says of every other op.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/net/lowering.h"
#include "model/plan/plan.h"

namespace rehearse::verifier {

// What an op has to do with a buffer that its work needs.
struct Need {
  BufferKind kind = BufferKind::scratch;
  Access access = Access::read;
  std::optional<ValueId> value = std::nullopt;
  std::optional<ParameterClassId> parameter_class = std::nullopt;
  std::optional<Bytes> size = std::nullopt;  // of slabs and rooms
  std::int64_t begin = 0, end = 0;           // elements it must hold
  bool exactly = false;                      // and no others
};
// "the gradient of value 7"
std::string describe(const Need& need);

class Needs {
 public:
  // net: as the program trains it (net_of()).
  Needs(const Plan& plan, const Net& net, std::size_t program);

  // Of all ops but load_batch and messages, which carry what they are given.
  std::vector<Need> of(const Op& op);
  // Of a collective that is of a class; none: of a value, or squares.
  std::optional<std::int64_t> element_bytes(const Op& collective) const;

 private:
  struct ParameterPlace {
    ParameterClassId parameter_class;
    std::int64_t begin, end;
  };

  const ParameterClass& held(ParameterClassId c) const {
    return program_.parameter_classes[c.index()];
  }
  BufferKind kind_of(const Operand& operand) const {
    return program_.buffers[operand.buffer.index()].kind;
  }

  // Passes.
  const std::vector<Need>& of_pass(const Op& op);
  std::vector<Need> of_work(const Lowering& work, Pass pass, MicroBatchId m) const;
  void add_parameters(const Lowering& work, MicroBatchId m, std::vector<Need>& needs) const;
  template <class IsFlat>
  void add_classes(const std::vector<ParameterId>& parameters, const IsFlat& is_flat, Need flat,
                   Need range, std::vector<Need>& needs) const;
  // Collectives.
  std::vector<Need> of_collective(const Op& op) const;
  std::vector<Need> of_broadcast(const Collective& detail) const;
  std::vector<Need> of_gather(const Collective& detail) const;
  std::vector<Need> of_reduction(const Op& op, const Collective& detail) const;
  std::vector<Need> of_exchange(const Op& op) const;
  // Gradients and weights.
  std::vector<Need> of_accumulate(const Op& op) const;
  std::vector<Need> of_squares() const;
  std::vector<Need> of_update(ParameterClassId c) const;
  std::vector<Need> of_outer_gradient(ParameterClassId c) const;
  std::vector<Need> of_outer_step(ParameterClassId c) const;

  const Plan& plan_;
  const RankProgram& program_;
  const Net& net_;
  const ElementSizes sizes_;
  const StateSizes state_;
  const std::vector<std::size_t> groups_;  // members, by slot
  std::map<ParameterId, ParameterPlace> places_;
  std::map<std::tuple<SegmentId, SegmentId, Pass, MicroBatchId>, std::vector<Need>> of_passes_;
};

}  // namespace rehearse::verifier
