// Which strategies are searched.
#include "tools/advise/space.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/tools/advise/scenarios.h"

namespace rehearse::advise {
namespace {

// Counted by hand: tensor 1, 2 and 4 by pipeline and replicas, by what replicas can shard out.
TEST(SearchSpace, IsWhatIsAskedFor) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  const SearchSpace space =
      SearchSpace::make(scenario, space_of("{sequence_parallel: false, recompute: none, "
                                           "schedule: 1f1b, micro_batch: 1, zero: [0, 1], "
                                           "coverage: 1}"))
          .value();
  // (tensor, pipeline, data): (1,1,4) (1,2,2) (2,1,2) with 2 stages of ZeRO each, (1,4,1) (2,2,1)
  // (4,1,1) with one.
  EXPECT_EQ(std::ssize(space.points()), 3 * 2 + 3);
  std::set<std::string> names;
  for (const Point& point : space.points()) {
    const StrategySpec spec = space.spec(point, space.placements(point).front());
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_EQ(resolve_mesh(spec, 4)->ranks(), 4);
    EXPECT_EQ(micro_batch_samples(spec, *resolve_mesh(spec, 4), 16).value(), 1);
  }
  EXPECT_TRUE(names.contains("tensor2-data2-zero1-m8"));
  EXPECT_TRUE(names.contains("pipeline4-1f1b-m16"));
}

TEST(SearchSpace, RefusesWhatCannotBe) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  const auto refused = [&](const std::string& text) {
    const Result<SearchSpace> space = SearchSpace::make(scenario, space_of(text));
    return space ? "" : space.errors().front().message;
  };
  EXPECT_EQ(refused("{tensor: [1, 3]}"), "3 ranks do not divide the 4 devices of the cluster");
  EXPECT_EQ(refused("{micro_batch: 5}"),
            "micro-batches of 5 samples do not divide the batch of 16");
  EXPECT_EQ(refused("{tensor: 1, pipeline: 1, micro_batch: 16}"),
            "no strategy of this space goes with the model, a batch of 16 and 4 devices; there "
            "are some without 'tensor' or 'pipeline' or 'micro_batch'");
  // 0.3 of 4 workers, of 2 and of 1 are no whole number of them.
  EXPECT_EQ(refused("{coverage: 0.3}"),
            "no strategy of this space goes with the model, a batch of 16 and 4 devices; there "
            "are some without 'coverage'");
  // In a list, too, however many others there are.
  EXPECT_EQ(refused("{coverage: [1, 1/2]}"), "");
  EXPECT_EQ(refused("{coverage: [1, 1/2, 0.3]}"),
            "no strategy of this space has a coverage of 0.3");
}

}  // namespace
}  // namespace rehearse::advise
