// A folder of files for tests of sweeps, and a sweep that is played in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/predict/predict.h"
#include "tools/sweep/sweep.h"

namespace rehearse::sweep {

namespace fs = std::filesystem;

inline constexpr auto kScenario = R"(name: swept
model: {kind: mlp, image: 2x2x1, hidden: 3, classes: 2}
training: {data: synthetic, batch: 16, optimizer: {kind: sgd, lr: 0.1}, dtype: fp32, steps: 2}
cluster: {device: cpu-core, nodes: 2, devices_per_node: 1, network: {kind: crossbar, link: {bandwidth: 10 Gb/s, latency: 5 us}}}
strategies:
  - {name: ddp, data: auto}
  - {name: pipe, pipeline: {stages: 2, schedule: gpipe, micro_batches: 2}}
)";

inline constexpr auto kSweep = R"(sweep:
  cluster.nodes: [1, 2, 4]
  cluster.network.link.bandwidth: {from: 1 Gb/s, to: 16 Gb/s, factor: 4}
  strategies.pipe.pipeline.micro_batches: {from: 2, to: 4, step: 1}
  when: micro_batches * nodes < 16
)";

inline Result<SweptScenario> parse_swept(const std::string& text) {
  return parse_swept_scenario(text, "swept.yaml", profile_path("swept.yaml"));
}

class Sweeps : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(::testing::TempDir()) / (std::string("sweep_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return (root_ / name).string();
  }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  static std::string text_of(const std::string& file) { return read_text_file(file).value(); }

  // The rows that are left in the folder.
  Outcome play_into(const std::string& folder, const std::vector<std::string>& files,
                    Shard shard = {}, std::size_t jobs = 2, bool resume = false) {
    const Sources sources = read_sources(files, 1000).value();
    Options options;
    options.method = {"simulate", &counted};
    options.shard = shard;
    options.jobs = jobs;
    options.stop = &stop_;
    const Manifest manifest = manifest_of(sources, options.method, shard);
    Ranking ranking;
    Results results = resume ? Results::resume(path(folder), manifest,
                                               [&](const RowPlace& place, const Row& row) {
                                                 ranking.add(place, row);
                                               })
                                   .value()
                             : Results::create(path(folder), manifest).value();
    return play(sources, options, results, std::move(ranking)).value();
  }

  std::vector<Row> rows_of(const std::string& folder) const {
    std::vector<Row> rows;
    const auto end = visit_rows(path(folder), [&](const Row& row, std::uint64_t) {
      rows.push_back(row);
      return success();
    });
    EXPECT_TRUE(end.ok()) << format(end.errors());
    return rows;
  }

  // Counts, and stops the sweep after so many.
  class Counting : public Evaluator {
   public:
    Result<Evaluated> evaluate(const Scenario& scenario, const ScenarioStrategy& strategy,
                               const std::string& setting) override {
      if (++evaluated_ == stop_after_) stop_ = true;
      return simulating_->evaluate(scenario, strategy, setting);
    }

   private:
    const std::unique_ptr<Evaluator> simulating_ = find_method("simulate").value().make();
  };
  static std::unique_ptr<Evaluator> counted() { return std::make_unique<Counting>(); }
  static inline std::atomic<int> evaluated_ = 0, stop_after_ = -1;
  static inline std::atomic<bool> stop_ = false;
  static void count_anew(int stop_after = -1) {
    evaluated_ = 0;
    stop_after_ = stop_after;
    stop_ = false;
  }

  fs::path root_;
};

}  // namespace rehearse::sweep
