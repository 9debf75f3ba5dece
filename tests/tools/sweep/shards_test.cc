// Parts of a sweep, and what is left of one that was stopped.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "tests/tools/sweep/sweeps.h"
#include "tools/sweep/merge.h"
#include "tools/sweep/tasks.h"

namespace rehearse::sweep {
namespace {

TEST_F(Sweeps, ShardsHaveEveryPointOnce) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const std::string plain = write("b.yaml", kScenario);
  const Sources sources = read_sources({file, plain}, 1000).value();
  for (std::uint64_t of = 1; of <= 7; ++of) {
    std::set<RowPlace> seen;
    for (std::uint64_t number = 1; number <= of; ++number) {
      const Shard shard{number, of};
      Tasks tasks(sources, shard, {});
      std::uint64_t rows = 0;
      while (const auto task = tasks.next()) {
        EXPECT_TRUE(seen.insert(task->place).second);
        ++rows;
      }
      EXPECT_EQ(rows, sweep::rows_of(manifest_of(sources, {"simulate", nullptr}, shard)));
    }
    EXPECT_EQ(seen.size(), 2 * (24u + 1));
  }
}

TEST_F(Sweeps, ShardsMergedAreTheWhole) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  for (std::uint64_t k = 1; k <= 3; ++k)
    play_into(fmt::format("part{}", k), {file}, {k, 3});
  // In any order, and one of them twice.
  const Result<Merged> merged =
      merge({path("part3"), path("part1"), path("part2"), path("part1")}, path("merged"));
  ASSERT_TRUE(merged.ok()) << format(merged.errors());
  EXPECT_EQ(merged->missing, 0u);
  for (const char* name : {"/results.jsonl", "/results.csv", "/sweep.json"})
    EXPECT_EQ(text_of(path("merged") + name), text_of(path("whole") + name)) << name;
}

TEST_F(Sweeps, WhatAMergeMissesIsPlayedOnTop) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  play_into("part", {file}, {2, 3});
  const Result<Merged> merged = merge({path("part")}, path("merged"));
  ASSERT_TRUE(merged.ok()) << format(merged.errors());
  EXPECT_EQ(merged->missing, 2u * 16);
  EXPECT_FALSE(play_into("merged", {file}, {}, 1, true).interrupted);
  EXPECT_EQ(text_of(path("merged/results.jsonl")), text_of(path("whole/results.jsonl")));
}

TEST_F(Sweeps, GoOnWhereTheyWereStopped) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file});
  const int all = evaluated_;
  for (const int after : {1, 4, 9}) {
    const std::string folder = fmt::format("after{}", after);
    count_anew(after);
    EXPECT_TRUE(play_into(folder, {file}).interrupted);
    const int first = evaluated_;
    EXPECT_LT(first, all);
    count_anew();
    EXPECT_FALSE(play_into(folder, {file}, {}, 2, true).interrupted);
    EXPECT_EQ(first + evaluated_, all) << "nothing is played again";
    EXPECT_EQ(text_of(path(folder + "/results.jsonl")), text_of(path("whole/results.jsonl")));
    EXPECT_EQ(text_of(path(folder + "/results.csv")), text_of(path("whole/results.csv")));
  }
}

// Wherever a line is torn off, and whatever has become of the other file.
TEST_F(Sweeps, MendATornEnd) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  count_anew();
  play_into("whole", {file}, {}, 1);
  const std::string json = text_of(path("whole/results.jsonl"));
  std::mt19937_64 random(5);
  for (int i = 0; i < 12; ++i) {
    const std::size_t size = i == 0 ? 0 : random() % json.size();
    fs::remove_all(path("torn"));
    fs::copy(path("whole"), path("torn"));
    fs::resize_file(path("torn/results.jsonl"), size);
    fs::resize_file(path("torn/results.csv"), random() % 100);
    EXPECT_FALSE(play_into("torn", {file}, {}, 2, true).interrupted);
    EXPECT_EQ(text_of(path("torn/results.jsonl")), json);
    EXPECT_EQ(text_of(path("torn/results.csv")), text_of(path("whole/results.csv")));
  }
}

TEST_F(Sweeps, AreNotMixedWithOthers) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const std::string other = write("b.yaml", kScenario);
  count_anew();
  play_into("out", {other});
  const auto refused = [&](const std::string& scenario, Shard shard, bool resume) {
    const Sources sources = read_sources({scenario}, 1000).value();
    const Manifest manifest = manifest_of(sources, {"simulate", nullptr}, shard);
    const Result<Results> results =
        resume ? Results::resume(path("out"), manifest, [](const RowPlace&, const Row&) {})
               : Results::create(path("out"), manifest);
    return results ? "" : results.errors().front().message;
  };
  EXPECT_NE(refused(other, {}, false).find("is not empty"), std::string::npos);
  EXPECT_EQ(refused(other, {}, true), "");
  EXPECT_NE(refused(file, {}, true).find("are of another scenario"), std::string::npos);
  EXPECT_NE(refused(other, {1, 2}, true).find("are of shard 1/1, not of 1/2"), std::string::npos);
}

// A profile that changed behind the scenario's back.
TEST_F(Sweeps, NoticeAnotherProfile) {
  std::string text = kScenario;
  text.replace(text.find("cpu-core"), 8, "./mine.yaml");
  const std::string file = write("a.yaml", text + "sweep: {training.batch: [16, 32]}\n");
  const std::string profile =
      text_of(std::string(REHEARSE_SOURCE_DIR) + "/scenarios/devices/cpu-core.yaml");
  write("mine.yaml", profile);
  count_anew();
  play_into("out", {file});
  write("mine.yaml", "# a comment\n" + profile);
  EXPECT_FALSE(play_into("out", {file}, {}, 1, true).interrupted);
  std::string changed = profile;
  const auto at = changed.find("memory: ");
  ASSERT_NE(at, std::string::npos);
  changed.replace(at, changed.find('\n', at) - at, "memory: 3 GiB");
  write("mine.yaml", changed);
  const Sources sources = read_sources({file}, 10).value();
  Options options;
  options.method = {"simulate", &counted};
  const Manifest manifest = manifest_of(sources, options.method, {});
  Results results =
      Results::resume(path("out"), manifest, [](const RowPlace&, const Row&) {}).value();
  const Result<Outcome> outcome = play(sources, options, results, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.errors().front().message.find("another device profile"), std::string::npos);
}

// Two that write into one folder would each cut off what the other has written.
TEST_F(Sweeps, WriteIntoAFolderAlone) {
  const std::string file = write("a.yaml", std::string(kScenario) + kSweep);
  const Sources sources = read_sources({file}, 100).value();
  const Manifest manifest = manifest_of(sources, find_method("simulate").value(), {});
  const auto ignore = [](const RowPlace&, const Row&) {};
  {
    const Results first = Results::create(path("out"), manifest).value();
    const Result<Results> second = Results::resume(path("out"), manifest, ignore);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.errors().front().message,
              "another process writes results into '" + path("out") + "'");
  }
  EXPECT_TRUE(Results::resume(path("out"), manifest, ignore).ok());
}

// In files of many times the part that is read at once, with lines that end within a cell.
TEST_F(Sweeps, ArePutInOrderFromAnyOrder) {
  constexpr std::uint64_t kRows = 2000;
  const auto row_at = [](std::uint64_t point) {
    Row row;
    row.scenario = row.file = "s";
    row.strategy = "ddp";
    row.point = point;
    row.status = RowStatus::refused;
    row.reason = fmt::format("{} \"\n{}", point, std::string(point % 3000, 'x'));
    row.scenario_hash = fmt::format("{:016x}", point);
    return row;
  };
  const Manifest manifest{"0.1.0", "simulate", {}, {{"s", "s", "00", kRows, {"ddp"}, {}}}};
  std::vector<std::uint64_t> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(7);
  for (const std::string folder : {"sorted", "nearly", "anyhow"}) {
    if (folder == "anyhow") std::shuffle(order.begin(), order.end(), random);
    if (folder == "nearly") {
      for (std::size_t r = 0; r + 8 < order.size(); r += 8)
        std::shuffle(order.begin() + static_cast<std::ptrdiff_t>(r),
                     order.begin() + static_cast<std::ptrdiff_t>(r + 8), random);
    }
    Results results = Results::create(path(folder), manifest).value();
    for (const std::uint64_t point : order)
      ASSERT_TRUE(results.append(results.print({0, 0, point}, row_at(point))).ok());
    ASSERT_TRUE(results.put_in_order().ok());
    for (const char* name : {"/results.jsonl", "/results.csv"})
      EXPECT_TRUE(text_of(path(folder + name)) == text_of(path("sorted" + std::string(name))))
          << folder << name;
  }
  EXPECT_GT(fs::file_size(path("sorted/results.jsonl")), 2u << 20);
}

// Rows that are copied often are at hand; of very many that are different some are not.
TEST(SweepsIdentical, KeepTheLastRows) {
  constexpr std::uint64_t kMany = 100'000;
  const auto row = std::make_shared<const Row>();
  Identical identical({});
  for (std::uint64_t hash = 0; hash < kMany; ++hash) {
    EXPECT_TRUE(identical.claim(hash, {}).is_first);
    identical.finish(hash, 10 * hash);
    identical.keep(hash, row);
  }
  const auto first = identical.claim(0, {}), last = identical.claim(kMany - 1, {});
  EXPECT_EQ(first.json_at, 0u);
  EXPECT_EQ(first.row, nullptr);
  EXPECT_EQ(last.json_at, 10 * (kMany - 1));
  EXPECT_EQ(last.row, row);
  EXPECT_LT(row.use_count(), 20'000);
}

}  // namespace
}  // namespace rehearse::sweep
