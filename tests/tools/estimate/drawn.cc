#include "tests/tools/estimate/drawn.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "cost/closed_form/estimator.h"
#include "model/schedule/mesh_place.h"
#include "tools/predict/predict.h"

namespace rehearse {

std::string model_text(Random& random) {
  const auto layers = any_of<int>(random, {6, 8, 11, 16});
  const auto width = any_of<int>(random, {64, 256, 512});
  const auto tied = random.below(2) == 0 ? "true" : "false";
  if (random.below(3) == 0)
    return fmt::format(
        "{{kind: llama, layers: {}, width: {}, heads: 8, kv_heads: 8, vocabulary: 1024, sequence: "
        "256, tied: {}}}",
        layers, width, tied);
  return fmt::format(
      "{{kind: gpt, layers: {}, width: {}, heads: 8, vocabulary: 1024, sequence: 256, positions: "
      "256, tied: {}{}}}",
      layers, width, tied, random.below(4) == 0 ? ", kernels: megatron" : "");
}

std::string scenario_text(Random& random, const std::string& model, std::int64_t batch,
                          const std::string& strategy, const std::vector<std::string>& on) {
  const std::string clip = random.below(4) == 0 ? ", clip: 1" : "";
  return fmt::format(
      "name: drawn\n"
      "model: {}\n"
      "training: {{data: synthetic, batch: {}, optimizer: {{kind: adamw, lr: 0.001{}}}, dtype: {}, "
      "gradients: fp32, steps: 3}}\n"
      "cluster:\n"
      "  device: h100-sxm-80gb\n{}"
      "strategies: [{{name: one, {}}}]\n",
      model, batch, clip, any_of<std::string>(random, {"bf16", "bf16", "tf32"}), any_of(random, on),
      strategy);
}

namespace {

// By worker, then rank of the pipeline.
std::size_t place_in_pipelines(const Mesh& mesh, std::int64_t rank) {
  MeshPlace place;
  for (place.data = 0; place.data < mesh.data; ++place.data) {
    for (place.worker = 0; place.worker < mesh.workers; ++place.worker) {
      for (place.pipeline = 0; place.pipeline < mesh.pipeline; ++place.pipeline) {
        for (place.tensor = 0; place.tensor < mesh.tensor; ++place.tensor) {
          if (rank_at(mesh, place) == RankId(rank))
            return static_cast<std::size_t>(place.worker * mesh.pipeline + place.pipeline);
        }
      }
    }
  }
  return 0;
}

// Of the rank that needs most: with what is beside the arena, without the arena's gaps.
std::int64_t least_memory(const StrategySummary& summary, const Device& device) {
  const auto lost = [&](Bytes arena) {
    return std::int64_t{std::llround(device.fragmentation * static_cast<double>(arena.bytes()))};
  };
  std::int64_t most = 0;
  for (const RankSummary& rank : summary.ranks) {
    const MemorySummary& it = *rank.memory;
    const std::int64_t beside = (it.peak - it.arena).bytes() - lost(it.arena);
    most = std::max(most, it.arena_live.bytes() + beside + lost(it.arena_live));
  }
  return most;
}

}  // namespace

void compare(const std::string& text, Compared& compared) {
  const auto scenario = parse_scenario(text, "drawn.yaml", profile_path("drawn.yaml"));
  if (!scenario) return;  // more stages than blocks, ...
  const ScenarioStrategy& strategy = scenario->strategies.front();
  const Result<Prediction> simulated = predict(*scenario, strategy);
  ASSERT_TRUE(simulated) << text;
  Estimator estimator =
      Estimator::make(scenario->model, scenario->training, scenario->cluster).value();
  const Estimate estimate = estimator.estimate(strategy.spec);
  ASSERT_TRUE(estimate.ok()) << estimator.reason(strategy.spec, estimate) << text;
  const double step = simulated->summary.step_time.seconds();
  EXPECT_LT(estimate.step_time, 1.03 * step) << text;
  EXPECT_GT(estimate.step_time + estimate.contention, 0.97 * step) << text;
  ++compared.all;
  if (!estimate.shares_links && estimate.contention < 0.01 * step) {
    ++compared.alone;
    EXPECT_NEAR(estimate.step_time / step, 1, 0.015) << text;
  }
  if (compared.plays) {
    const Estimate played = estimator.estimate(strategy.spec, Contention::played);
    const double error = std::abs(played.step_time / step - 1);
    EXPECT_LT(error, 0.2) << text;
    compared.near += error < 0.015 ? 1 : 0;
  }
  const std::vector<std::int64_t> live = estimator.arena_live(strategy.spec);
  ASSERT_EQ(std::ssize(live), strategy.mesh.workers * strategy.mesh.pipeline);
  EXPECT_EQ(estimate.memory, least_memory(simulated->summary, scenario->cluster.device)) << text;
  for (const RankSummary& rank : simulated->summary.ranks)
    EXPECT_EQ(live[place_in_pipelines(strategy.mesh, rank.rank)], rank.memory->arena_live.bytes())
        << "rank " << rank.rank << "\n"
        << text;
  const auto mfu = estimator.mfu(strategy.spec, estimate);
  ASSERT_EQ(mfu.has_value(), simulated->summary.mfu.has_value());
  if (mfu) {
    EXPECT_NEAR(*mfu * estimate.step_time, *simulated->summary.mfu * step, 1e-6 * step) << text;
  }
}

int trials(int few) {
  const char* more = std::getenv("REHEARSE_ESTIMATE_TRIALS");
  return more == nullptr ? few : std::atoi(more);
}

Random drawn_from(std::uint64_t seed) {
  const char* other = std::getenv("REHEARSE_ESTIMATE_SEED");
  const std::uint64_t further =
      other == nullptr ? 0 : static_cast<std::uint64_t>(std::atoll(other));
  return Random(seed + 1000 * further, 0);
}

}  // namespace rehearse
