// Every algorithm as ranks run it: sums, and trainings.
#include "exec/run/collective.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::executable;
using testing::train_locally;

std::vector<CollectiveShape> shapes(CollectiveKind kind, std::size_t members) {
  std::vector<CollectiveShape> shapes;
  for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
    if (row.algorithm == CollectiveAlgorithm::in_network) continue;
    shapes.push_back({kind, row.algorithm, members});
  }
  for (const std::size_t node_members : {2, 3})
    shapes.push_back({kind, CollectiveAlgorithm::hierarchical, members, 0, node_members});
  shapes.push_back({kind, CollectiveAlgorithm::double_tree, members, 0, 1, 3});
  std::erase_if(shapes, [](const CollectiveShape& shape) { return refusal_of(shape).has_value(); });
  return shapes;
}

std::span<std::byte> bytes_of(std::vector<float>& values) {
  return std::as_writable_bytes(std::span(values));
}

// Terms of all signs, of which sums are rounded.
float term(std::size_t member, std::size_t element) {
  Random random(7, 1000 * member + element);
  return static_cast<float>(random.normal());
}

// Runs one collective on threads of this process; what every member has afterwards.
std::vector<std::vector<float>> run(const CollectiveShape& shape, std::int64_t n,
                                    std::int64_t divisor) {
  Group group;
  for (std::size_t m = 0; m < shape.members; ++m)
    group.members.emplace_back(m);
  Collective collective;
  collective.end = n;
  collective.element_bytes = sizeof(float);
  collective.divisor = divisor;
  std::vector<std::vector<float>> results(shape.members);
  exec::run_local(shape.members, [&](exec::Transport& transport) {
    const auto backend = exec::make_backend("reference");
    const std::size_t member = transport.rank().index();
    std::vector<float>& values = results[member];
    for (std::size_t e = 0; e < static_cast<std::size_t>(n); ++e)
      values.push_back(term(member, e));
    std::vector<float> room(static_cast<std::size_t>(room_for(shape, n)));
    exec::CollectiveRun reduction(transport, *backend, group, shape, collective, 5,
                                  {bytes_of(values), bytes_of(room), {}});
    while (!reduction.advance())
      transport.idle();
    EXPECT_EQ(reduction.sent().bytes(), elements_sent(shape, member, n) * collective.element_bytes);
  });
  return results;
}

// However they are added up, c - 1 roundings of at most half a unit of the sum of the terms' sizes
// each (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), and one of the
// division. All members have the same bits.
TEST(Collectives, AddUp) {
  constexpr double kUnit = 0x1p-24;
  for (const std::size_t members : {2, 3, 4, 5, 6, 7, 8, 9}) {
    for (const CollectiveShape& shape : shapes(CollectiveKind::all_reduce, members)) {
      for (const std::int64_t n : {1, 3, 50, 64}) {
        const auto results = run(shape, n, 3);
        for (const auto& result : results)
          EXPECT_EQ(result, results.front()) << to_string(shape.algorithm);
        for (std::size_t e = 0; e < results.front().size(); ++e) {
          double sum = 0, sizes = 0;
          for (std::size_t m = 0; m < members; ++m)
            sum += term(m, e), sizes += std::abs(term(m, e));
          const double bound = static_cast<double>(members + 1) * kUnit * sizes / 3;
          EXPECT_NEAR(results.front()[e], sum / 3, bound)
              << to_string(shape.algorithm) << ", element " << e << " of " << n << " over "
              << members;
        }
      }
    }
  }
}

// The same, of a member's own chunk.
TEST(Collectives, AddUpChunks) {
  for (const std::size_t members : {2, 3, 4, 8}) {
    for (const CollectiveShape& shape : shapes(CollectiveKind::reduce_scatter, members)) {
      const std::int64_t n = 37;
      const auto results = run(shape, n, 1);
      for (std::size_t m = 0; m < members; ++m) {
        const ElementRange own = chunk_of(0, n, members, m);
        for (auto e = static_cast<std::size_t>(own.begin); e < static_cast<std::size_t>(own.end);
             ++e) {
          double sum = 0;
          for (std::size_t k = 0; k < members; ++k)
            sum += term(k, e);
          EXPECT_NEAR(results[m][e], sum, 1e-5) << to_string(shape.algorithm);
        }
      }
    }
  }
}

// A machine on which this is the layout, and pieces are cheap enough to have some.
CollectiveCosts costs_of(std::int64_t ranks_per_node) {
  return {ranks_per_node, [](const CollectiveShape& shape, std::int64_t n, std::int64_t) {
            const auto pieces = static_cast<double>(shape.pieces);
            return 50 * pieces + static_cast<double>(n) / pieces;
          }};
}

Plan plan_by(CollectiveAlgorithm algorithm, StrategySpec strategy, std::int64_t devices,
             std::int64_t ranks_per_node) {
  strategy.collectives = algorithm;
  strategy.bucket = Bytes::kib(4);
  Training training = testing::training(24);
  training.dtype = DataType::fp64;
  const ModelSpec model = testing::narrow_gpt();
  const Net net = *build_net(model);
  const auto plan = build_plan(strategy, model, training, devices, even_costs(net.blocks.size()),
                               std::nullopt, costs_of(ranks_per_node));
  EXPECT_TRUE(plan.ok()) << format(plan.errors());
  const Status good = verify(*plan);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  return *plan;
}

// What all ranks send is what their plan says; and the weights are a ring's but for the order of
// additions: in double, after three steps, far below 1e-9 of the largest.
TEST(Collectives, TrainAsARingDoes) {
  constexpr std::int64_t kSteps = 3, kReplicas = 6;
  StrategySpec sharded = testing::data_parallel();
  sharded.sharding = Sharding::gradients;
  const StrategySpec subnetwork = testing::subnetwork({2, 3});
  for (const StrategySpec& strategy : {testing::data_parallel(), sharded, subnetwork}) {
    const auto ring =
        train_locally(plan_by(CollectiveAlgorithm::ring, strategy, kReplicas, 2), kSteps);
    for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
      if (row.algorithm == CollectiveAlgorithm::in_network) continue;
      const Plan plan = plan_by(row.algorithm, strategy, kReplicas, 2);
      const auto run = train_locally(plan, kSteps);
      EXPECT_LT(testing::difference(run.weights, ring.weights), 1e-9) << row.name;
      EXPECT_EQ(exec::differing_copies(run.ranks), "") << row.name;
      for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
        Bytes planned;
        for (const Op& op : program_of(plan, RankId(r)).ops) {
          if (!is_collective(op.kind)) continue;
          const Collective& it = collective_of(op);
          const Group& group = group_of(plan, RankId(r), op);
          planned += Bytes::bytes(
              it.element_bytes * elements_sent(shape_of(op, group.members.size()),
                                               member_number(group, RankId(r)), it.end - it.begin));
        }
        EXPECT_EQ(run.ranks[r].traffic.sent, planned * kSteps) << row.name << ", rank " << r;
        EXPECT_EQ(run.ranks[r].arena_extent, lay_out(program_of(plan, RankId(r))).arena);
      }
    }
  }
}

// The plans of the test above are what they are called.
TEST(Collectives, AreInThePlanThatTrains) {
  const Plan plan = plan_by(CollectiveAlgorithm::hierarchical, testing::data_parallel(), 6, 2);
  const Plan trees = plan_by(CollectiveAlgorithm::double_tree, testing::data_parallel(), 6, 2);
  std::int64_t reductions = 0, most_pieces = 0;
  for (const Op& op : plan.programs.front().ops) {
    if (op.kind != OpKind::all_reduce) continue;
    ++reductions;
    EXPECT_EQ(collective_of(op).algorithm, CollectiveAlgorithm::hierarchical);
    EXPECT_EQ(collective_of(op).node_members, 2);
  }
  EXPECT_GT(reductions, 1);
  for (const Op& op : trees.programs.front().ops) {
    if (op.kind == OpKind::all_reduce)
      most_pieces = std::max(most_pieces, collective_of(op).pieces);
  }
  EXPECT_GT(most_pieces, 1);
}

}  // namespace
}  // namespace rehearse
