#include "cost/closed_form/pass_order.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cost/closed_form/live_states.h"
#include "model/base/random.h"

namespace rehearse {
namespace {

// Passes that need nothing but their rank and their input.
StagePasses passes_of(double forward, double backward, double weight) {
  StagePasses passes;
  const auto set = [&](StageAction action, double seconds) {
    PassTimes& times = passes.times[static_cast<std::size_t>(action)];
    times.computed = times.output = {seconds, Moment::kNever, seconds};
    times.exchanged = {Moment::kNever, 0, Moment::kNever};
    times.length = times.busy = seconds;
  };
  set(StageAction::forward, forward);
  set(StageAction::backward, backward);
  set(StageAction::weight, weight);
  return passes;
}

double end_of(const PassTimeline& timeline) {
  double end = 0;
  for (const RankPasses& rank : timeline.ranks)
    end = std::max(end, rank.end);
  return end;
}

struct Pipeline {
  Pipeline(const std::string& name, const PipelineShape& of, const std::vector<StagePasses>& passes,
           double message)
      : schedule(*find_pipeline_schedule(name)),
        shape(of),
        links{std::vector<double>(passes.size() - 1, message),
              std::vector<double>(passes.size() - 1, message)},
        begin(static_cast<std::size_t>(of.ranks), 0) {
    for (const StagePasses& own : passes)
      stages.push_back(&own);
  }

  double followed() const {
    return end_of(run_passes(pass_order(schedule, shape), stages, links, begin));
  }
  double in_rounds() const {
    PassOrders orders;
    return end_of(run_many_passes(orders, schedule, shape, stages, links, begin));
  }

  const PipelineSchedule& schedule;
  PipelineShape shape;
  std::vector<const StagePasses*> stages;
  PassLinks links;
  std::vector<double> begin;
};

double length(const std::string& name, const PipelineShape& shape,
              const std::vector<StagePasses>& passes, double message) {
  return Pipeline(name, shape, passes, message).followed();
}

// Of p equal stages and m micro-batches GPipe and 1F1B take (m + p - 1) (F + B) (Narayanan et al.,
// arXiv 2104.04473, section 2.2.1), interleaved with v chunks (m + (p - 1) / v) (F + B).
TEST(PassOrder, OfEqualStagesIsThePapers) {
  const std::int64_t p = 4, m = 12;
  const std::vector<StagePasses> stages(4, passes_of(1, 2, 0));
  EXPECT_NEAR(length("gpipe", {p, 1, m, Placement::loop}, stages, 0), (m + p - 1) * 3, 1e-9);
  EXPECT_NEAR(length("1f1b", {p, 1, m, Placement::loop}, stages, 0), (m + p - 1) * 3, 1e-9);
  const std::vector<StagePasses> chunks(8, passes_of(0.5, 1, 0));
  EXPECT_NEAR(length("interleaved", {p, 2, m, Placement::loop}, chunks, 0),
              m * 3 + (p - 1) * 3 / 2.0, 1e-9);
  // No bubble where F = B = W (Qi et al., arXiv 2401.10241, section 2.2), but that of the first.
  const std::vector<StagePasses> thirds(4, passes_of(1, 1, 1));
  EXPECT_NEAR(length("zb-h2", {p, 1, m, Placement::loop}, thirds, 0), 3 * m + p - 1, 1e-9);
}

// Rounds of as many micro-batches as ranks take as long as one another in the end.
TEST(PassOrder, GetsIntoStep) {
  Random random(3, 0);
  for (int trial = 0; trial < 60; ++trial) {
    for (const std::string name : {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"}) {
      const auto p = static_cast<std::int64_t>(1 + random.below(6));
      const std::int64_t chunks = name == "interleaved" ? 2 : 1;
      std::vector<StagePasses> stages;
      // All but the first and the last are alike, as in a network of alike blocks.
      const auto any = [&] { return 1 + random.uniform(); };
      const StagePasses inner = passes_of(any(), any(), any());
      for (std::int64_t s = 0; s < p * chunks; ++s) {
        const bool is_end = s == 0 || s + 1 == p * chunks;
        stages.push_back(is_end ? passes_of(any(), any(), any()) : inner);
      }
      const std::int64_t left = chunks == 1 ? static_cast<std::int64_t>(random.below(4)) : 0;
      const Pipeline pipeline(name, {p, chunks, 20 * p + left, Placement::loop}, stages,
                              random.uniform());
      const double followed = pipeline.followed();
      EXPECT_NEAR(pipeline.in_rounds(), followed, 1e-2 * followed) << name << " on " << p;
    }
  }
}

std::int64_t most_kept(const std::string& name, const PipelineShape& shape, std::size_t rank) {
  const LiveStates states = live_states(*find_pipeline_schedule(name), shape)[rank];
  std::int64_t most = 0;
  for (const LiveStates::Moment& moment : states.moments) {
    std::int64_t kept = 0;
    for (const auto& counts : moment.counts) {
      for (const StageAction state : {StageAction::forward, StageAction::send_forward})
        kept += counts[static_cast<std::size_t>(state)];
    }
    most = std::max(most, kept);
  }
  return most;
}

// 1F1B keeps p - s activations, GPipe all of them.
TEST(LiveStates, AreAsManyAsTheSchedulesKeep) {
  for (const std::int64_t p : {2, 4, 7}) {
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(p); ++rank) {
      EXPECT_EQ(most_kept("1f1b", {p, 1, 20, Placement::loop}, rank),
                p - static_cast<std::int64_t>(rank));
      EXPECT_EQ(most_kept("gpipe", {p, 1, 20, Placement::loop}, rank), 20);
    }
  }
}

}  // namespace
}  // namespace rehearse
