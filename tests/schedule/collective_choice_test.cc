#include "model/schedule/collective_choice.h"

#include <gtest/gtest.h>

#include <bit>

#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

Group group(std::vector<std::uint32_t> ranks) {
  Group group;
  for (const std::uint32_t rank : ranks)
    group.members.emplace_back(rank);
  return group;
}

TEST(LayoutOf, CountsNeighbours) {
  EXPECT_EQ(layout_of({group({0, 1, 4, 5})}, 4).node_members, 2u);
  EXPECT_EQ(layout_of({group({0, 4, 8})}, 4).node_members, 1u);
  EXPECT_EQ(layout_of({group({0, 1, 2, 3})}, 4).node_members, 4u);
  EXPECT_EQ(layout_of({group({0, 1, 4})}, 4).node_members, std::nullopt) << "2 and 1";
  EXPECT_EQ(layout_of({group({0, 4, 1, 5})}, 4).node_members, std::nullopt) << "out of order";
  EXPECT_EQ(layout_of({group({0, 1, 4, 5}), group({2, 6, 7, 8})}, 4).node_members, std::nullopt);
  EXPECT_EQ(layout_of({group({0, 1, 4, 5})}, 4).members, 4u);
}

// Seconds of messages alone: 1 each and 1 per 100 bytes, of which a hierarchical all-reduce sends
// little between nodes, where they are ten times slower.
double seconds(const CollectiveShape& shape, std::int64_t elements, std::int64_t element_bytes) {
  const auto bytes = static_cast<double>(elements * element_bytes) / 100;
  const auto c = static_cast<double>(shape.members);
  const double network = shape.node_members < shape.members ? 10 : 1;
  const double levels = static_cast<double>(std::bit_width(shape.members)) - 1;
  const auto pieces = static_cast<double>(shape.pieces);
  switch (shape.algorithm) {
    case CollectiveAlgorithm::doubling:
      return levels + network * levels * bytes;
    case CollectiveAlgorithm::double_tree:
      return 4 * (pieces + levels) * (2 + network * bytes / 2 / pieces);
    case CollectiveAlgorithm::hierarchical:
      return 4 * c + (network == 10 ? 4 : 2) * bytes;
    default:
      return 2 * c + network * 2 * bytes;
  }
}

constexpr auto kAllReduce = CollectiveKind::all_reduce;

TEST(ChooseCollective, TakesTheFastest) {
  const CollectiveCosts costs{4, seconds};
  const auto chosen = [&](const CollectiveGroup& group, CollectiveKind kind, std::int64_t n) {
    return choose_collective(std::nullopt, costs, kind, group, n, 4);
  };
  // 8 members of 4 bytes: 3 steps; of 40 kB a ring's bytes; across nodes those of a hierarchy.
  EXPECT_EQ(chosen({8, 8}, kAllReduce, 1).algorithm, CollectiveAlgorithm::doubling);
  const CollectiveMethod across = chosen({8, 4}, kAllReduce, 10'000);
  EXPECT_EQ(across.algorithm, CollectiveAlgorithm::hierarchical);
  EXPECT_EQ(across.node_members, 4);
  EXPECT_NE(chosen({8, std::nullopt}, kAllReduce, 10'000).algorithm,
            CollectiveAlgorithm::hierarchical);
  // All that are for all gathers cost the same: a ring.
  EXPECT_EQ(chosen({8, 4}, CollectiveKind::all_gather, 1).algorithm, CollectiveAlgorithm::ring);
  // Nothing is known.
  EXPECT_EQ(choose_collective(std::nullopt, {}, kAllReduce, {8, 4}, 1, 4).algorithm,
            CollectiveAlgorithm::ring);
}

// 4 (k + 3) (2 + 200 / 2k) is least at k = sqrt(3 * 100 / 2) = 12.2; of powers of two: 8 has 638,
// 16 has 627.
TEST(ChooseCollective, CutsTreesIntoThePiecesThatAreFastest) {
  const CollectiveCosts costs{8, seconds};
  const CollectiveMethod method =
      choose_collective(CollectiveAlgorithm::double_tree, costs, kAllReduce, {8, 8}, 5000, 4);
  EXPECT_EQ(method.algorithm, CollectiveAlgorithm::double_tree);
  EXPECT_EQ(method.pieces, 16);
  // No piece is empty.
  EXPECT_EQ(
      choose_collective(CollectiveAlgorithm::double_tree,
                        {8, [](const CollectiveShape& shape, std::int64_t,
                               std::int64_t) { return 1 / static_cast<double>(shape.pieces); }},
                        kAllReduce, {8, 8}, 9, 4)
          .pieces,
      4);
}

TEST(ChooseCollective, FallsBackOnARing) {
  const auto named = [](CollectiveAlgorithm algorithm, CollectiveKind kind, CollectiveGroup group) {
    return choose_collective(algorithm, {}, kind, group, 100, 4).algorithm;
  };
  using enum CollectiveAlgorithm;
  EXPECT_EQ(named(double_tree, CollectiveKind::all_gather, {4, 4}), ring);
  EXPECT_EQ(named(halving_doubling, CollectiveKind::all_gather, {4, 4}), halving_doubling);
  EXPECT_EQ(named(halving_doubling, CollectiveKind::all_gather, {6, 6}), ring);
  EXPECT_EQ(named(hierarchical, kAllReduce, {6, std::nullopt}), ring);
  EXPECT_EQ(named(in_network, kAllReduce, {6, 6}), in_network);
}

Plan plan_by(CollectiveAlgorithm algorithm) {
  StrategySpec strategy = testing::data_parallel();
  strategy.collectives = algorithm;
  return *build_plan(strategy, testing::mlp(), testing::training(16), 4, even_costs(4),
                     std::nullopt, {2, seconds});
}

TEST(PlansByAlgorithm, AreReadAsTheyArePrinted) {
  for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
    const Plan plan = plan_by(row.algorithm);
    const std::string text = print(plan);
    EXPECT_NE(text.find(" algorithm=" + std::string(row.name)), std::string::npos);
    const auto parsed = parse_plan(text, "plan");
    ASSERT_TRUE(parsed.ok()) << format(parsed.errors());
    EXPECT_EQ(print(parsed->plan), text);
    const Status good = verify(parsed->plan);
    EXPECT_TRUE(good.ok()) << format(good.errors());
  }
}

TEST(PlansByAlgorithm, AreRefusedWhereTheyCannotBe) {
  const auto refused = [](CollectiveAlgorithm algorithm, const auto& change) {
    Plan plan = plan_by(algorithm);
    for (Op& op : plan.programs.front().ops) {
      if (op.kind == OpKind::all_reduce) change(std::get<Collective>(op.detail));
    }
    const Status good = verify(plan);
    return good.ok() ? std::string() : good.errors().front().message;
  };
  EXPECT_NE(refused(CollectiveAlgorithm::hierarchical, [](Collective& it) { it.node_members = 3; })
                .find("4 members are not so many nodes of 3"),
            std::string::npos);
  EXPECT_NE(refused(CollectiveAlgorithm::hierarchical, [](Collective& it) { it.node_members = 0; })
                .find("4 members are not so many nodes of 0"),
            std::string::npos);
  EXPECT_NE(refused(CollectiveAlgorithm::double_tree, [](Collective& it) { it.pieces = 0; })
                .find("has no pieces"),
            std::string::npos);
  EXPECT_NE(refused(CollectiveAlgorithm::double_tree, [](Collective& it) { it.pieces = 1 << 30; })
                .find("in 1073741824 pieces"),
            std::string::npos);
}

}  // namespace
}  // namespace rehearse
