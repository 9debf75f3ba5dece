#include "cost/closed_form/pass_timeline.h"

#include <gtest/gtest.h>

#include <algorithm>

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

  PassTimeline followed(StageExchange exchange = StageExchange::overlapped) const {
    return run_passes(plain_pass_order(schedule, shape, exchange), stages, links, begin);
  }
  PassTimeline in_turns(StageExchange exchange = StageExchange::overlapped) const {
    return run_passes(pass_order(schedule, shape, exchange), stages, links, begin);
  }

  const PipelineSchedule& schedule;
  PipelineShape shape;
  std::vector<const StagePasses*> stages;
  PassLinks links;
  std::vector<double> begin;
};

double length(const std::string& name, const PipelineShape& shape,
              const std::vector<StagePasses>& passes, double message) {
  return end_of(Pipeline(name, shape, passes, message).followed());
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

// Every pass is in the order once: what loops leave out is what they go around.
TEST(PassOrder, HasAllPasses) {
  for (const std::string name : {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"}) {
    const std::int64_t chunks = name == "interleaved" ? 3 : 1;
    const std::int64_t actions = name[0] == 'z' ? 3 : 2;
    for (const std::int64_t p : {1, 2, 5, 8}) {
      const std::int64_t m = 100 * p;
      if (chunks > 1 && p == 1) continue;
      const PassOrder order = pass_order(*find_pipeline_schedule(name), {p, chunks, m, {}});
      std::int64_t passes = std::ssize(order.passes);
      EXPECT_LT(passes, 20 * p * p * chunks * actions) << name << " on " << p;
      for (const PassOrder::Loop& loop : order.loops)
        passes += (loop.count - 1) * static_cast<std::int64_t>(loop.end - loop.begin);
      EXPECT_EQ(passes, actions * p * chunks * m) << name << " on " << p;
    }
  }
}

// Turns of loops that are not followed one by one take what they would.
TEST(PassTimeline, OfLoopsIsThatOfAllTurns) {
  Random random(3, 0);
  for (int trial = 0; trial < 100; ++trial) {
    for (const std::string name : {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"}) {
      const auto p = static_cast<std::int64_t>(1 + random.below(7));
      const std::int64_t chunks = name == "interleaved" ? 2 : 1;
      if (chunks > 1 && p == 1) continue;
      std::vector<StagePasses> stages;
      // Unlike, or all but the first and the last alike, as in a network of alike blocks.
      const auto any = [&] { return 1 + random.uniform(); };
      const StagePasses inner = passes_of(any(), any(), any());
      const bool is_any = random.below(3) == 0;
      for (std::int64_t s = 0; s < p * chunks; ++s) {
        const bool is_end = s == 0 || s + 1 == p * chunks;
        stages.push_back(is_end || is_any ? passes_of(any(), any(), any()) : inner);
      }
      const std::int64_t m = chunks == 1 ? static_cast<std::int64_t>(1 + random.below(200))
                                         : p * static_cast<std::int64_t>(1 + random.below(40));
      Pipeline pipeline(name, {p, chunks, m, Placement::loop}, stages, 2 * random.uniform());
      for (double& begin : pipeline.begin)
        begin = random.below(2) == 0 ? 0 : 5 * random.uniform();
      const StageExchange exchange = stage_exchanges()[random.below(3)];
      const PassTimeline all = pipeline.followed(exchange), few = pipeline.in_turns(exchange);
      for (std::size_t r = 0; r < all.ranks.size(); ++r) {
        const double near = 1e-6 * all.ranks[r].end;
        EXPECT_NEAR(few.ranks[r].begin, all.ranks[r].begin, near) << name << " on " << p;
        EXPECT_NEAR(few.ranks[r].end, all.ranks[r].end, near) << name << " on " << p << ": " << m;
        EXPECT_NEAR(few.ranks[r].sent, all.ranks[r].sent, near) << name << " on " << p;
        EXPECT_NEAR(few.ranks[r].busy, all.ranks[r].busy, near);
        EXPECT_NEAR(few.ranks[r].held, all.ranks[r].held, near) << name << " on " << p;
        EXPECT_NEAR(few.ranks[r].waited, all.ranks[r].waited, near) << name << " on " << p;
      }
      for (std::size_t s = 0; s < all.last_pass.size(); ++s)
        EXPECT_NEAR(few.last_pass[s], all.last_pass[s], 1e-6 * all.last_pass[s]) << name;
    }
  }
}

// Two ranks that wait for messages of t: both send after every forward, but for the last rank's,
// and after every backward, all m + 1 turns of (F + B + t) (of the first rank's first forward and
// last backward together one). In the midst of more ranks there are two exchanges in a turn.
TEST(PassTimeline, OfWaitingPassesHasMessagesBetweenThem) {
  const double t = 0.25;
  for (const std::int64_t m : {1, 5, 100}) {
    const std::vector<StagePasses> two(2, passes_of(1, 2, 0));
    const Pipeline pipeline("1f1b", {2, 1, m, Placement::loop}, two, t);
    const double expected = static_cast<double>(m + 1) * (3 + t);
    for (const PassTimeline& timeline :
         {pipeline.followed(StageExchange::batched), pipeline.in_turns(StageExchange::batched)}) {
      EXPECT_NEAR(end_of(timeline), expected, 1e-9);
      // The last rank waits for its own m sends and for its first input; of the latter it is the
      // first rank's forward that it waits for before, which is idle.
      EXPECT_NEAR(timeline.ranks[1].waited, static_cast<double>(m + 1) * t, 1e-9);
    }
  }
  const std::vector<StagePasses> five(5, passes_of(1, 2, 0));
  const auto turn = [&](StageExchange exchange) {
    const auto end = [&](std::int64_t m) {
      return end_of(Pipeline("1f1b", {5, 1, m, Placement::loop}, five, t).in_turns(exchange));
    };
    return end(41) - end(40);
  };
  EXPECT_NEAR(turn(StageExchange::batched), 3 + 2 * t, 1e-9);
  // One after the other, four.
  EXPECT_NEAR(turn(StageExchange::serial), 3 + 4 * t, 1e-9);
}

// A kind that is nowhere slower than another is never the last: what is left ends as late as all of
// them do.
TEST(PassTimeline, OfReplicasTheSlowestAreLeft) {
  Random random(4, 0);
  const std::vector<StagePasses> passes(4, passes_of(1, 2, 0));
  const PipelineShape shape{.ranks = 4, .chunks = 1, .micro_batches = 9};
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<PassLinks> kinds(6);
    Pipeline pipeline("1f1b", shape, passes, 0);
    double last = 0;
    for (PassLinks& kind : kinds) {
      for (std::size_t boundary = 0; boundary + 1 < passes.size(); ++boundary) {
        kind.forward.push_back(random.below(3) == 0 ? 2.5 : 0.1);
        kind.backward.push_back(kind.forward.back());
      }
      pipeline.links = kind;
      last = std::max(last, end_of(pipeline.followed()));
    }
    const ReplicaLinks left = slowest_replicas(kinds);
    ASSERT_FALSE(left.are_merged);
    EXPECT_LE(left.kinds.size(), 3u);  // of eight, no more are slower than each other somewhere
    double end = 0;
    for (const PassLinks& kind : left.kinds) {
      pipeline.links = kind;
      end = std::max(end, end_of(pipeline.followed()));
    }
    EXPECT_EQ(end, last);
  }
}

// Of too many each boundary's slowest counts.
TEST(PassTimeline, TooManyKindsOfReplicasAreMerged) {
  std::vector<PassLinks> kinds(17);
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const double one = static_cast<double>(k), other = 20 - one;
    kinds[k] = {{one, other}, {one, other}};
  }
  EXPECT_EQ(slowest_replicas({kinds.begin(), kinds.end() - 1}).kinds.size(), 16u);
  const ReplicaLinks merged = slowest_replicas(kinds);
  EXPECT_TRUE(merged.are_merged);
  ASSERT_EQ(merged.kinds.size(), 1u);
  EXPECT_EQ(merged.kinds.front().forward, (std::vector<double>{16, 20}));
  EXPECT_EQ(merged.kinds.front().backward, (std::vector<double>{16, 20}));
}

}  // namespace
}  // namespace rehearse
