// Oracles of subnetwork data parallelism on real networks: bits, copies, holders, bytes and state
// of training with plans that leave out blocks, or parts of every inner width.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "model/base/text.h"
#include "model/plan/layout.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::by_width;
using testing::executable;
using testing::small_resnet;
using testing::train_locally;

struct Case {
  std::string name;
  ModelSpec model;
  Construction construction;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::vector<Case> cases() {
  const ModelSpec gpt = testing::small_gpt(4);
  // Four workers cut four hidden layers' first and third into four units each.
  const ModelSpec mlp = {"mlp",
                         {{"image", {4, 4, 1}}, {"hidden", {24, 12, 20, 12}}, {"classes", {10}}}};
  return {{"resnet_blocks", small_resnet(), Construction::block},
          {"resnet_widths", small_resnet(), Construction::width},
          {"gpt_blocks", gpt, Construction::block},
          {"gpt_widths",
           {"gpt",
            {{"layers", {2}},
             {"width", {16}},
             {"heads", {4}},
             {"vocabulary", {20}},
             {"sequence", {6}},
             {"positions", {6}}}},
           Construction::width},
          {"mlp_widths", mlp, Construction::width}};
}

constexpr std::int64_t kWorkers = 4;
const Bytes kBucket = Bytes::kib(3);  // several per class

class Subnetwork : public ::testing::TestWithParam<Case> {
 protected:
  StrategySpec strategy(std::int64_t holders) const {
    StrategySpec strategy = testing::subnetwork({holders, kWorkers});
    strategy.subnetwork->construction = GetParam().construction;
    strategy.bucket = kBucket;
    return strategy;
  }
  Plan plan(const StrategySpec& strategy, Reduction reduction = Reduction::fast) const {
    return executable(strategy, kWorkers, GetParam().model, testing::training(16).optimizer,
                      reduction);
  }
  Plan plan(std::int64_t holders) const { return plan(strategy(holders)); }
};
INSTANTIATE_TEST_SUITE_P(Networks, Subnetwork, ::testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

// Parameters that everybody holds, and those in units.
struct Sizes {
  std::int64_t shared = 0, masked = 0;
};
Sizes sizes_of(const Net& net) {
  Sizes sizes;
  for (const Parameter& parameter : net.parameters)
    (parameter.unit ? sizes.masked : sizes.shared) += parameter.shape.elements();
  return sizes;
}

// ---- who holds what ----------------------------------------------------------------------------

// Oracle 4: every unit on exactly c workers, every parameter of it in a class with c holders, all
// others with everybody.
TEST_P(Subnetwork, EveryUnitHasItsHolders) {
  for (std::int64_t holders = 1; holders <= kWorkers; ++holders) {
    const Plan plan = this->plan(holders);
    const Net net = *whole_net(plan);
    std::vector<std::int64_t> found(net.parameters.size(), 0);
    for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
      const RankProgram& program = program_of(plan, RankId(rank));
      for (const ParameterClass& held : program.parameter_classes) {
        for (const ParameterId p : held.parameters) {
          const auto& unit = net.parameters[p.index()].unit;
          EXPECT_EQ(held.holders, unit ? holders : kWorkers);
          if (unit) {
            EXPECT_TRUE(program.subnetwork.holds[unit->index()]);
          }
          ++found[p.index()];
        }
      }
    }
    for (std::size_t p = 0; p < found.size(); ++p)
      EXPECT_EQ(found[p], net.parameters[p].unit ? holders : kWorkers) << net.parameters[p].name;
  }
}

// ---- bits --------------------------------------------------------------------------------------

// Oracle 3: held by everybody is data parallelism, bit for bit in every step; with exact reductions
// it is that of one process, too (ExactReductions). Held by fewer it is not.
TEST_P(Subnetwork, OfEverybodyIsDataParallelBitForBit) {
  constexpr std::int64_t kSteps = 3;
  for (const Reduction reduction : {Reduction::fast, Reduction::exact}) {
    const auto ddp = train_locally(plan(testing::data_parallel("ddp", kBucket), reduction), kSteps);
    const auto whole = train_locally(plan(strategy(kWorkers), reduction), kSteps);
    EXPECT_EQ(whole.weight_hashes, ddp.weight_hashes) << to_string(reduction);
    EXPECT_EQ(whole.weights, ddp.weights);
    EXPECT_EQ(whole.losses, ddp.losses);
    EXPECT_EQ(whole.weight_hashes.size(), static_cast<std::size_t>(kSteps));
  }
  const auto ddp = train_locally(plan(testing::data_parallel("ddp", kBucket)), 1);
  EXPECT_NE(train_locally(plan(3), 1).weight_hashes, ddp.weight_hashes);
}

// ---- copies ------------------------------------------------------------------------------------

// The class hashes of all ranks: by class, of each of its holders.
std::map<std::string, std::vector<std::string>> copies(const exec::TrainingRun& run) {
  std::map<std::string, std::vector<std::string>> hashes;
  for (const exec::RankMeasurement& rank : run.ranks) {
    for (const std::string_view line : split(rank.class_hashes, '\n')) {
      if (line.empty()) continue;
      const auto words = split(line, ' ');
      hashes[std::string(words[0])].emplace_back(words[1]);
    }
  }
  return hashes;
}

// Oracle 5: the copies of a unit on its holders are the same after every step. Runs are functions
// of their plan, so a run of k steps is how a longer one was after k of them.
TEST_P(Subnetwork, CopiesAreIdenticalAfterEveryStep) {
  constexpr std::int64_t kSteps = 4, kHolders = 3;
  const Plan plan = this->plan(kHolders);
  const auto longest = train_locally(plan, kSteps);
  std::set<std::string> seen;
  for (std::int64_t steps = 1; steps <= kSteps; ++steps) {
    const auto run = train_locally(plan, steps);
    EXPECT_EQ(exec::differing_copies(run.ranks), "") << steps << " steps";
    EXPECT_EQ(run.weight_hashes.back(), longest.weight_hashes[static_cast<std::size_t>(steps - 1)]);
    std::size_t in_units = 0;
    for (const auto& [first, hashes] : copies(run)) {
      EXPECT_EQ(std::set(hashes.begin(), hashes.end()).size(), 1u)
          << "class of parameter " << first;
      EXPECT_TRUE(seen.insert(first + " " + hashes.front()).second) << "it moved in every step";
      if (hashes.size() == kHolders) ++in_units;
    }
    EXPECT_GT(in_units, 1u);
  }
}

// The ranks that hold a parameter.
std::vector<std::size_t> holders_of(const Plan& plan, ParameterId parameter) {
  std::vector<std::size_t> holders;
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    for (const ParameterClass& held : program_of(plan, RankId(rank)).parameter_classes) {
      if (std::count(held.parameters.begin(), held.parameters.end(), parameter) > 0)
        holders.push_back(rank);
    }
  }
  return holders;
}

// Leaves the first element of the class that `first` begins out of its sums, on every holder.
void leave_one_out(Plan& plan, ParameterId first) {
  for (RankProgram& program : plan.programs) {
    for (Op& op : program.ops) {
      auto* sum = std::get_if<Collective>(&op.detail);
      if (sum == nullptr || !sum->parameter_class || sum->begin != 0) continue;
      if (program.parameter_classes[sum->parameter_class->index()].parameters.front() == first)
        sum->begin = 1;
    }
  }
}

// ... and one that differs is seen: if holders of a unit leave one number out of a sum, each steps
// by its own gradient of it. The verifier refuses the plan; where it trains nevertheless, the
// copies tell.
TEST_P(Subnetwork, OneNumberThatIsNotSummedIsNoticed) {
  Plan plan = this->plan(2);
  const Net net = *whole_net(plan);
  const auto& classes = plan.programs.front().parameter_classes;
  const auto of_units = std::find_if(classes.begin(), classes.end(), [&](const auto& held) {
    return net.parameters[held.parameters.front().index()].unit.has_value();
  });
  ASSERT_NE(of_units, classes.end());
  const ParameterId first = of_units->parameters.front();
  const std::vector<std::size_t> holders = holders_of(plan, first);
  ASSERT_EQ(holders.size(), 2u);
  leave_one_out(plan, first);
  EXPECT_FALSE(verify(plan).ok());
  EXPECT_EQ(exec::differing_copies(train_locally(plan, 1).ranks),
            fmt::format("the copies of the parameters from {} on differ between ranks {} and {}",
                        first.value(), holders[0], holders[1]));
}

// ---- bytes -------------------------------------------------------------------------------------

// Oracle 6: a ring all-reduce among c sends 2 (c - 1) times its bytes, all members together; so a
// worker sends on average [phi 2 (N - 1) / N + (1 - phi) 2 (c - 1) / N] g Psi per step, phi the
// share of the Psi parameters that everybody holds. Nothing for units with one holder (oracle 3).
TEST_P(Subnetwork, SendsTheBytesOfItsRings) {
  constexpr std::int64_t kSteps = 2;
  for (std::int64_t holders = 1; holders <= kWorkers; ++holders) {
    const Plan plan = this->plan(holders);
    const Net net = *whole_net(plan);
    const std::int64_t g = state_sizes(plan.training).gradient;
    const auto run = train_locally(plan, kSteps);
    std::vector<Bytes> by_group(plan.groups.size());
    Bytes sent;
    for (const exec::RankMeasurement& rank : run.ranks) {
      sent += rank.traffic.sent;
      for (std::size_t group = 0; group < by_group.size(); ++group)
        by_group[group] += rank.traffic.sent_by_group[group];
    }
    std::set<GroupId> seen;
    for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
      for (const ParameterClass& held : program_of(plan, RankId(rank)).parameter_classes) {
        if (!held.group) {
          EXPECT_EQ(held.holders, 1);
          continue;
        }
        const GroupId group = plan.ranks[rank].groups[*held.group];
        if (!seen.insert(group).second) continue;
        EXPECT_EQ(by_group[group.index()].bytes(),
                  kSteps * 2 * (held.holders - 1) * g * held.elements);
      }
    }
    EXPECT_EQ(seen.size(), plan.groups.size()) << "every group sums one class";
    const Sizes sizes = sizes_of(net);
    EXPECT_EQ(sent.bytes(),
              kSteps * g * 2 * ((kWorkers - 1) * sizes.shared + (holders - 1) * sizes.masked))
        << holders << " holders: N times the mean";
  }
}

// Oracle 6: a worker's state is on average kappa Psi times the bytes of a parameter, kappa = phi +
// (1 - phi) c / N: what the plan lays out, and the executor's arena is the plan's.
TEST_P(Subnetwork, KeepsTheStateOfWhatItHolds) {
  for (std::int64_t holders = 1; holders <= kWorkers; ++holders) {
    const Plan plan = this->plan(holders);
    const StateSizes bytes = state_sizes(plan.training);
    const auto run = train_locally(plan, 1);
    Bytes state;
    for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
      const RankProgram& program = program_of(plan, RankId(rank));
      Bytes own;
      for (const Buffer& buffer : program.buffers) {
        if (is_persistent(buffer.kind)) own += buffer.size;
      }
      EXPECT_EQ(run.ranks[rank].arena_extent, lay_out(program).arena);
      EXPECT_GE(run.ranks[rank].arena_live, own);
      state += own;
    }
    const Sizes sizes = sizes_of(*whole_net(plan));
    EXPECT_EQ(state.bytes(), (bytes.parameter + bytes.gradient + bytes.optimizer) *
                                 (kWorkers * sizes.shared + holders * sizes.masked))
        << holders << " holders: N times the mean";
  }
}

// ---- unequal holders ---------------------------------------------------------------------------

// Shares by worker, whoever else holds the units. Of two of the assignments, halves at most: some
// units are nobody's.
StrategySpec dealt(AssignmentKind kind, Construction construction) {
  StrategySpec strategy = testing::dealt(
      kind, kind == AssignmentKind::nested ? std::vector<Fraction>{{3, 4}, {1, 2}, {1, 2}, {1, 4}}
                                           : std::vector<Fraction>{{1, 4}, {1, 4}, {1, 4}, {1, 4}});
  strategy.subnetwork->construction = construction;
  strategy.subnetwork->scaling =
      kind == AssignmentKind::nested ? Scaling::in_training : Scaling::at_test;
  strategy.bucket = kBucket;
  return strategy;
}

constexpr AssignmentKind kDealt[] = {AssignmentKind::nested, AssignmentKind::random,
                                     AssignmentKind::rolling};

// By parameter: holders.
std::vector<std::int64_t> count_holders(const Plan& plan, const Net& net) {
  std::vector<std::int64_t> count(net.parameters.size(), 0);
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    for (const ParameterClass& own : program_of(plan, RankId(rank)).parameter_classes) {
      for (const ParameterId p : own.parameters)
        count[p.index()] += own.is_held ? 1 : 0;
    }
  }
  return count;
}

// What nobody holds is after any number of steps what it was at first, bit for bit, and evaluated
// and hashed with the rest; all else moves. The first weights are those of a run where everybody
// holds everything.
TEST_P(Subnetwork, ParkedWeightsStayWhatTheyAre) {
  constexpr std::int64_t kSteps = 4;
  const auto whole =
      train_locally(plan(testing::data_parallel("ddp", kBucket)), 1).first_step->weights;
  for (const AssignmentKind kind : kDealt) {
    const Plan plan = this->plan(dealt(kind, GetParam().construction));
    const Net net = *whole_net(plan);
    const auto run = train_locally(plan, kSteps);
    const std::vector<std::int64_t> holders = count_holders(plan, net);
    std::size_t parked = 0;
    for (std::size_t p = 0; p < holders.size(); ++p) {
      const auto& first = run.first_step->weights[p];
      ASSERT_EQ(run.weights[p].size(), first.size());
      ASSERT_FALSE(first.empty());
      EXPECT_EQ(run.weights[p] == first, holders[p] == 0) << net.parameters[p].name;
      // Blocks are the whole network's; of widths the first unit's slice has its parameter's id.
      if (GetParam().construction == Construction::block) {
        EXPECT_EQ(first, whole[p]);
      }
      const auto& gradient = run.first_step->gradients[p];
      ASSERT_EQ(gradient.size(), first.size());
      if (holders[p] > 0) continue;
      ++parked;
      EXPECT_EQ(gradient, std::vector<std::byte>(gradient.size()));
    }
    EXPECT_GT(parked, 0u) << to_string(kind);
    EXPECT_EQ(exec::differing_copies(run.ranks), "");
    EXPECT_EQ(std::set(run.weight_hashes.begin(), run.weight_hashes.end()).size(),
              static_cast<std::size_t>(kSteps));
  }
}

// As above: a class of c holders sends 2 (c - 1) times its bytes, whoever holds the others; a
// holder has all of its state, and of what is parked one worker has the weights.
TEST_P(Subnetwork, SendsAndKeepsByUnequalHolders) {
  for (const AssignmentKind kind : kDealt) {
    const Plan plan = this->plan(dealt(kind, GetParam().construction));
    const Net net = *whole_net(plan);
    const StateSizes bytes = state_sizes(plan.training);
    const auto run = train_locally(plan, 1);
    const std::vector<std::int64_t> holders = count_holders(plan, net);
    std::int64_t sent = 0, kept = 0;
    for (std::size_t p = 0; p < holders.size(); ++p) {
      const std::int64_t n = net.parameters[p].shape.elements();
      sent += 2 * std::max<std::int64_t>(holders[p] - 1, 0) * n * bytes.gradient;
      kept +=
          n * (holders[p] == 0 ? bytes.parameter
                               : holders[p] * (bytes.parameter + bytes.gradient + bytes.optimizer));
    }
    Bytes real, state;
    for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
      real += run.ranks[rank].traffic.sent;
      const RankProgram& program = program_of(plan, RankId(rank));
      EXPECT_EQ(run.ranks[rank].arena_extent, lay_out(program).arena);
      for (const Buffer& buffer : program.buffers)
        state += is_persistent(buffer.kind) ? buffer.size : Bytes{};
    }
    EXPECT_EQ(real.bytes(), sent) << to_string(kind);
    EXPECT_EQ(state.bytes(), kept) << to_string(kind);
  }
}

// ---- eight workers -----------------------------------------------------------------------------

// Every variant on eight ranks: what is held by several is the same on all of them, and it learns.
TEST(SubnetworkOfEight, TrainsInEveryVariant) {
  constexpr std::int64_t kEight = 8, kSteps = 40, kSome = 8;
  const ModelSpec gpt = {"gpt",
                         {{"layers", {8}},
                          {"width", {16}},
                          {"heads", {8}},
                          {"vocabulary", {20}},
                          {"sequence", {6}},
                          {"positions", {6}}}};
  Training training = testing::training(64);
  training.dtype = DataType::fp64;
  for (const Construction construction : {Construction::block, Construction::width}) {
    for (const Masking masking : {Masking::forward, Masking::backward}) {
      for (const std::int64_t holders : {1, 2, 4}) {
        StrategySpec strategy = testing::subnetwork({holders, kEight});
        strategy.subnetwork->construction = construction;
        strategy.subnetwork->masking = masking;
        const auto run = train_locally(executable(strategy, kEight, gpt, training), kSteps);
        const std::string name = std::string(to_string(construction)) + ", " +
                                 std::string(to_string(masking)) + ", " + std::to_string(holders);
        EXPECT_EQ(exec::differing_copies(run.ranks), "") << name;
        const auto sum = [](auto begin) { return std::accumulate(begin, begin + kSome, 0.0); };
        // Forty steps make much of a rounding: 0.95 and 0.954 have been seen of the slowest.
        EXPECT_LT(sum(run.losses.end() - kSome), 0.97 * sum(run.losses.begin())) << name;
      }
    }
  }
}

// HeteroFL, federated dropout and FedRolex, with what nobody holds.
TEST(SubnetworkOfEight, TrainsWithUnequalHolders) {
  constexpr std::int64_t kSteps = 40, kSome = 8;
  const ModelSpec gpt = {"gpt",
                         {{"layers", {8}},
                          {"width", {16}},
                          {"heads", {8}},
                          {"vocabulary", {20}},
                          {"sequence", {6}},
                          {"positions", {6}}}};
  Training training = testing::training(64);
  training.dtype = DataType::fp64;
  const std::vector<Fraction> shares = {{3, 4}, {3, 4}, {1, 2}, {1, 2},
                                        {1, 2}, {1, 4}, {1, 4}, {1, 8}};
  for (const AssignmentKind kind : kDealt) {
    for (const Construction construction : {Construction::block, Construction::width}) {
      StrategySpec strategy = testing::dealt(kind, shares);
      strategy.subnetwork->construction = construction;
      strategy.subnetwork->scaling =
          kind == AssignmentKind::nested ? Scaling::in_training : Scaling::at_test;
      const auto run = train_locally(executable(strategy, 8, gpt, training), kSteps);
      const std::string name =
          std::string(to_string(kind)) + ", " + std::string(to_string(construction));
      EXPECT_EQ(exec::differing_copies(run.ranks), "") << name;
      const auto sum = [](auto begin) { return std::accumulate(begin, begin + kSome, 0.0); };
      EXPECT_LT(sum(run.losses.end() - kSome), 0.95 * sum(run.losses.begin())) << name;
    }
  }
}

}  // namespace
}  // namespace rehearse
