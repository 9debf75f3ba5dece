// Which plan every step of a training runs.
#pragma once

#include <cstdint>
#include <memory>

#include "model/plan/plan.h"
#include "model/plan/transition.h"

namespace rehearse::exec {

// The plans of one training, which may change between steps: of the same network on the same ranks,
// with whatever each rank holds.
class PlanSource {
 public:
  virtual ~PlanSource() = default;
  // The plan of a step, verified: the same object for as long as it does not change. Everybody
  // calls this for all steps in turn, from 0 on; it may exchange messages.
  virtual std::shared_ptr<const Plan> plan_at(std::int64_t step) = 0;
  // Whether this step's plan is another than the last one's: the same answer on all ranks, without
  // messages.
  virtual bool changes_at(std::int64_t step) const = 0;
  // Whether masks are drawn anew for it; the same in that.
  virtual bool redraws_at(std::int64_t step) const {
    (void)step;
    return false;
  }
  // What becomes of the optimizer's moments where this step's plan is another than the last one's.
  virtual Moments moments_at(std::int64_t step) {
    (void)step;
    return Moments::keep;
  }
};

// The same plan in all steps.
class SinglePlan : public PlanSource {
 public:
  // The plan must outlive it.
  explicit SinglePlan(const Plan& plan) : plan_(&plan, [](const Plan*) {}) {}
  std::shared_ptr<const Plan> plan_at(std::int64_t) override { return plan_; }
  bool changes_at(std::int64_t) const override { return false; }

 private:
  std::shared_ptr<const Plan> plan_;
};

}  // namespace rehearse::exec
