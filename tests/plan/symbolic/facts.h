// What a plan says, looked up once for all plays of it.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse::testing::symbolic {

// What is wrong with a plan stops the play.
struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Elements of its class that a parameter is.
struct Place {
  ParameterClassId parameter_class;
  std::int64_t begin = 0, end = 0;
};

struct ProgramFacts {
  ProgramFacts(const Plan& plan, const Net& full, const RankProgram& program);

  Net net;  // as the program trains it
  std::map<ParameterId, Place> places;
  std::vector<Lowering> lowerings;       // by op; empty of what is no pass
  std::vector<std::vector<OpId>> lanes;  // their ops
};

struct RankFacts {
  const Buffer& buffer(BufferId b) const { return program.buffers[b.index()]; }
  const Op& op(OpId id) const { return program.ops[id.index()]; }
  const ParameterClass& class_at(ParameterClassId c) const {
    return program.parameter_classes[c.index()];
  }
  // Of buffers that hold elements of one.
  const ParameterClass& class_of(const Buffer& it) const { return class_at(*it.parameter_class); }
  // The whole of a value, on this rank.
  Bytes size_of_value(ValueId value) const;
  [[noreturn]] void fail(OpId op, const std::string& what) const;

  RankId id;
  const Plan& plan;
  const Net& full;  // the plan's whole network
  const RankBinding& binding;
  const RankProgram& program;
  // ProgramFacts.
  const Net& net;
  const std::map<ParameterId, Place>& places;
  const std::vector<Lowering>& lowerings;
  const std::vector<std::vector<OpId>>& lanes;
};

class PlanFacts {
 public:
  explicit PlanFacts(const Plan& plan);
  // Its members refer to one another.
  PlanFacts(const PlanFacts&) = delete;
  PlanFacts& operator=(const PlanFacts&) = delete;

  const Plan& plan() const { return plan_; }
  const std::vector<RankFacts>& ranks() const { return ranks_; }

 private:
  const Plan& plan_;
  const Net full_;
  std::vector<ProgramFacts> programs_;
  std::vector<RankFacts> ranks_;
};

}  // namespace rehearse::testing::symbolic
