#include "tools/chakra/chakra.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "tests/scenario/files.h"
#include "tests/schedule/plans.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

// Of every op: what it waits for by name, and the op before it on its lane, each once.
std::int64_t dependencies_of(const RankProgram& program) {
  std::size_t count = 0;
  std::map<LaneId, OpId> last;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    std::set<OpId> before(program.ops[i].after.begin(), program.ops[i].after.end());
    const LaneId lane = program.ops[i].lane;
    if (last.count(lane) > 0) before.insert(last[lane]);
    last[lane] = OpId(i);
    count += before.size();
  }
  return static_cast<std::int64_t>(count);
}

// Totals over all ranks as tests/tools/read_chakra names them, from the plan's own ops.
std::map<std::string, std::int64_t> totals_of(const Plan& plan) {
  std::map<std::string, std::int64_t> totals = {
      {"ranks", static_cast<std::int64_t>(plan.ranks.size())}};
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    totals["dependencies"] += dependencies_of(program_of(plan, RankId(rank)));
    for (const Op& op : program_of(plan, RankId(rank)).ops) {
      const bool sends = op.kind == OpKind::send;
      if (sends || op.kind == OpKind::receive) {
        const std::string name = sends ? "COMM_SEND" : "COMM_RECV";
        ++totals[name];
        totals[name + "_bytes"] += transfer_of(op).bytes.bytes();
      } else if (is_communication(op.kind)) {
        ++totals["COMM_COLL"];
        const Collective& it = collective_of(op);
        const Group& group = group_of(plan, RankId(rank), op);
        const ElementRange own =
            chunk_of(it.begin, it.end, group.members.size(), member_number(group, RankId(rank)));
        const std::int64_t given = op.kind == OpKind::all_gather ? own.size() : it.end - it.begin;
        totals["COMM_COLL_bytes"] += given * it.element_bytes;
      } else {
        ++totals[op.kind == OpKind::load_batch ? "MEM_LOAD" : "COMP"];
      }
    }
  }
  return totals;
}

std::filesystem::path scratch(const std::string& name) {
  const auto directory =
      std::filesystem::path(::testing::TempDir()) / fmt::format("chakra_{}_{}", ::getpid(), name);
  std::filesystem::remove_all(directory);
  return directory;
}

// Writes the files and has the independent reader check them.
void write_and_read(const Plan& plan, const std::string& name,
                    const std::map<std::string, std::int64_t>& expected,
                    const Prices* prices = nullptr) {
  const auto directory = scratch(name);
  const Status written = write_chakra(plan, directory.string(), prices);
  ASSERT_TRUE(written.ok()) << format(written.errors());
  std::string command =
      fmt::format("'{}/tests/tools/read_chakra' '{}'", REHEARSE_SOURCE_DIR, directory.string());
  for (const auto& [key, number] : expected)
    command += fmt::format(" {}={}", key, number);
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::filesystem::remove_all(directory);
}

class ChakraScenario : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(ChakraScenario, AStrangerReadsEveryPlan) {
  const Result<Scenario> scenario = read_scenario(GetParam().string(), testing::shipped_profiles());
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  for (const ScenarioStrategy& strategy : scenario->strategies) {
    SCOPED_TRACE(strategy.spec.name);
    const Result<Plan> plan = plan_of(*scenario, strategy);
    ASSERT_TRUE(plan.ok()) << format(plan.errors());
    write_and_read(*plan, testing::test_name(GetParam()), totals_of(*plan));
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ChakraScenario,
                         ::testing::ValuesIn(testing::yaml_files(testing::kSource / "scenarios")),
                         [](const auto& file) { return testing::test_name(file.param); });

TEST(Chakra, AStrangerReadsPlansOfAllStrategies) {
  for (const testing::PlanCase& c : testing::all_cases()) {
    SCOPED_TRACE(c.name);
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok()) << format(plan.errors());
    write_and_read(*plan, c.name, totals_of(*plan));
  }
}

// Two replicas of an MLP with 16 inputs, three layers of 24 and 10 classes: each layer of n outputs
// from k inputs takes 2 k n operations per sample forward and as many for each gradient, of which
// the first layer has only that of its weights. The products are the least that num_ops must have;
// activations, loss and the optimizer (momentum and update: 4 per parameter) come on top, far less
// than the whole again.
TEST(Chakra, CountsOperations) {
  const testing::PlanCase c{"mlp", testing::data_parallel(), testing::mlp(), 2};
  const Result<Plan> plan = testing::plan_of(c, 64);
  ASSERT_TRUE(plan.ok()) << format(plan.errors());
  const std::int64_t first = 2 * 16 * 24, others = 2 * (24 * 24 + 24 * 24 + 24 * 10);
  const std::int64_t products = 64 * (2 * first + 3 * others);
  const Net net = *whole_net(*plan);
  const double passes = flops_of(net, 64).total().flops();
  EXPECT_GE(passes, static_cast<double>(products));
  EXPECT_LT(passes, 1.5 * static_cast<double>(products));
  const std::int64_t parameters = parameter_count(net);
  write_and_read(*plan, c.name,
                 {{"num_ops", static_cast<std::int64_t>(passes) + 2 * 4 * parameters}});
}

// One op of 2.6 us and one of 1 ms; the rest take no time.
TEST(Chakra, RoundsDurationsToMicroseconds) {
  const Result<Plan> plan = testing::plan_of({"mlp", testing::data_parallel(), testing::mlp(), 2});
  ASSERT_TRUE(plan.ok()) << format(plan.errors());
  ASSERT_EQ(plan->programs.size(), 1u);
  Prices prices{{std::vector<OpPrice>(plan->programs[0].ops.size())}};
  prices.ops[0][1].seconds = Seconds::microseconds(2.6);
  prices.ops[0][2].seconds = Seconds::microseconds(1000);
  write_and_read(*plan, "durations", {{"micros", 2 * (3 + 1000)}}, &prices);
}

// Group 0 of a plan is not ASTRA-sim's group "0", which is everybody.
TEST(Chakra, NamesGroupsFromOne) {
  const Result<Plan> plan = testing::plan_of({"mlp", testing::data_parallel(), testing::mlp(), 2});
  ASSERT_TRUE(plan.ok()) << format(plan.errors());
  EXPECT_EQ(chakra_groups(*plan), "{\n  \"1\": [0, 1]\n}\n");
  EXPECT_EQ(chakra_groups(Plan{}), "{}\n");
}

TEST(Chakra, RefusesTagsThatDoNotFit) {
  Plan plan = *testing::plan_of({"1f1b", testing::pipeline("1f1b", 2, 2), testing::resnet20(), 2});
  for (Op& op : plan.programs[0].ops) {
    if (op.kind == OpKind::send) std::get<Transfer>(op.detail).tag = std::int64_t{1} << 31;
  }
  const Status status = write_chakra(plan, scratch("tags").string());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(format(status.errors()),
            "error: program stage0: tag 2147483648 does not fit a Chakra trace, which has tags up "
            "to 2147483647\n");
}

// The reader is worth asking: it refuses files that are damaged.
TEST(Chakra, TheReaderFindsDamage) {
  const Result<Plan> plan = testing::plan_of({"mlp", testing::data_parallel(), testing::mlp(), 2});
  const auto directory = scratch("damage");
  ASSERT_TRUE(write_chakra(*plan, directory.string()).ok());
  const auto file = directory / "rehearse.1.et";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  const std::string command = fmt::format("'{}/tests/tools/read_chakra' '{}' 2>/dev/null",
                                          REHEARSE_SOURCE_DIR, directory.string());
  EXPECT_NE(std::system(command.c_str()), 0);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace rehearse
