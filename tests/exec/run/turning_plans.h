// Plans that take turns, for tests.
#pragma once

#include <memory>
#include <vector>

#include "exec/plan_source.h"

namespace rehearse::testing {

// Each for so many steps, then the first one again.
class TurningPlans : public exec::PlanSource {
 public:
  TurningPlans(const std::vector<Plan>& plans, std::int64_t every, Moments moments = Moments::keep)
      : every_(every), moments_(moments) {
    for (const Plan& plan : plans)
      plans_.push_back(std::make_shared<const Plan>(plan));
  }
  std::shared_ptr<const Plan> plan_at(std::int64_t step) override {
    return plans_[static_cast<std::size_t>(step / every_) % plans_.size()];
  }
  bool changes_at(std::int64_t step) const override {
    return step % every_ == 0 && plans_.size() > 1;
  }
  bool redraws_at(std::int64_t step) const override {
    return changes_at(step) && plans_.front()->redraw;
  }
  Moments moments_at(std::int64_t) override { return moments_; }

 private:
  std::int64_t every_;
  Moments moments_;
  std::vector<std::shared_ptr<const Plan>> plans_;
};

}  // namespace rehearse::testing
