// The plans that a training runs: rank 0 reads or builds them, everybody gets them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "exec/plan_source.h"
#include "exec/transport.h"
#include "model/scenario/scenario.h"
#include "tools/cli/cli.h"

namespace rehearse::cli {

class TrainingPlans : public exec::PlanSource {
 public:
  // Of the scenario or plan that the arguments name. Everybody calls this; none where rank 0 has
  // said what is wrong.
  static std::unique_ptr<TrainingPlans> read(const Arguments& arguments,
                                             exec::Transport& transport);

  // The scenario's name, or the plan's file.
  const std::string& name() const { return name_; }
  // After how many steps masks are drawn anew, if they are.
  std::optional<std::int64_t> redraw() const { return redraw_; }

  // A plan that cannot be built ends the job.
  std::shared_ptr<const Plan> plan_at(std::int64_t step) override;
  bool changes_at(std::int64_t step) const override {
    return next_change_ && step >= *next_change_;
  }
  bool redraws_at(std::int64_t step) const override {
    return step > 0 && redraw_ && step % *redraw_ == 0;
  }
  Moments moments_at(std::int64_t step) override {
    return redraws_at(step) ? moments_ : Moments::keep;
  }

 private:
  // On rank 0: what plans are built from; none where a plan was given.
  struct Origin {
    Scenario scenario;
    ScenarioStrategy strategy;
  };
  explicit TrainingPlans(exec::Transport& transport) : transport_(transport) {}
  Result<std::string> open(const Arguments& arguments);
  void accept(const std::string& text);
  Result<Plan> build(std::int64_t step) const;

  exec::Transport& transport_;
  std::string name_;
  std::optional<std::int64_t> redraw_;
  Moments moments_ = Moments::keep;
  std::optional<Origin> origin_;
  std::shared_ptr<const Plan> plan_;
  std::optional<std::int64_t> next_change_;  // step
};

}  // namespace rehearse::cli
