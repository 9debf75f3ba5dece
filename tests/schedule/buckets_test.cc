#include "model/schedule/buckets.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/net/width.h"
#include "model/schedule/assignment.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

// Rounds that reductions of one unit of time take when every rank does one at a time, in order.
std::size_t rounds_of(const std::vector<HolderClass>& classes, const std::vector<Bucket>& buckets) {
  std::vector<std::size_t> busy_until(classes.front().workers.size(), 0);
  for (const Bucket& bucket : buckets) {
    const auto& members = classes[bucket.holder_class].workers;
    std::size_t start = 0;
    for (std::size_t w = 0; w < members.size(); ++w) {
      if (members[w]) start = std::max(start, busy_until[w]);
    }
    for (std::size_t w = 0; w < members.size(); ++w) {
      if (members[w]) busy_until[w] = start + 1;
    }
  }
  return *std::max_element(busy_until.begin(), busy_until.end());
}

// A chain of N equal hidden layers held in cyclic windows of c workers each: N groups around a
// circle.
struct Circle {
  Net net;
  std::vector<HolderClass> classes;
  std::vector<Bucket> buckets;

  Circle(std::size_t workers, std::size_t holders) : net(*build_net(testing::resnet20())) {
    for (std::size_t k = 0; k < workers; ++k) {
      HolderClass window{std::vector<bool>(workers, false), {true}, false, {ParameterId(k)}, 1};
      for (std::size_t h = 0; h < holders; ++h)
        window.workers[(k + h) % workers] = true;
      window.elements = net.parameters[k].shape.elements();
      net.parameters[k].segment = SegmentId(0);  // all ready at once: only the conflicts count
      classes.push_back(window);
    }
    buckets = cut_buckets(net, classes, {Bytes::bytes(1), 4});
  }

  std::size_t rounds() const { return rounds_of(classes, buckets); }
};

// subnetwork.md, section 2: coloured they take c rounds where c divides N, in index order N.
TEST(Buckets, GroupsAroundACircleRunSideBySide) {
  EXPECT_EQ(Circle(8, 2).rounds(), 2u);
  EXPECT_EQ(Circle(12, 4).rounds(), 4u);
  EXPECT_EQ(Circle(16, 2).rounds(), 2u);
  EXPECT_EQ(Circle(64, 8).rounds(), 8u);
}

// The same of windows as they are dealt, in the order that the seed shuffles them into: one more
// for what everybody holds.
TEST(Buckets, GroupsOfWidthsRunSideBySide) {
  const ModelSpec model{"mlp", {{"image", {28, 28, 1}}, {"hidden", {512}}, {"classes", {10}}}};
  for (const auto& [workers, holders] : {std::pair(8, 2), {8, 4}, {16, 4}, {32, 4}, {64, 8}}) {
    const Net net = *cut_units(*build_net(model), {workers, {}, {}});
    const Assignment assignment = assign_widths(net, workers, holders, {1});
    std::vector<Subnetwork> subnetworks;
    for (std::int64_t worker = 0; worker < workers; ++worker)
      subnetworks.push_back(subnetwork_of(assignment, worker));
    const auto classes = holder_classes(net, subnetworks, {SegmentId(0), end_segment(net)}, {0});
    const auto buckets = cut_buckets(net, classes, {Bytes::gib(1), 4});
    EXPECT_EQ(rounds_of(classes, buckets), static_cast<std::size_t>(holders) + 1)
        << workers << " workers";
  }
}

TEST(Buckets, HoldWholeParametersUpToTheSize) {
  const Net net = *build_net(testing::resnet20());
  const std::vector<SegmentId> one_stage = {SegmentId(0), end_segment(net)};
  const auto classes = holder_classes(net, {full_subnetwork(net)}, one_stage, {0});
  ASSERT_EQ(classes.size(), 1u);
  EXPECT_EQ(classes[0].elements, parameter_count(net));
  for (const Bytes size : {Bytes::kib(4), Bytes::kib(256), Bytes::mib(25)}) {
    const auto buckets = cut_buckets(net, classes, {size, 4});
    std::int64_t covered = 0;
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      EXPECT_EQ(buckets[b].begin, covered)
          << "one holder class: buckets come as backward fills them";
      std::int64_t elements = 0;
      for (const ParameterId p : buckets[b].parameters)
        elements += net.parameters[p.index()].shape.elements();
      EXPECT_EQ(buckets[b].end - buckets[b].begin, elements);
      const std::int64_t last =
          net.parameters[buckets[b].parameters.back().index()].shape.elements();
      EXPECT_LT((elements - last) * 4, size.bytes()) << "full before its last parameter";
      if (b + 1 < buckets.size()) {
        EXPECT_GE(elements * 4, size.bytes()) << "closed before it was full";
      }
      covered = buckets[b].end;
    }
    EXPECT_EQ(covered, parameter_count(net));
  }
}

TEST(HolderClasses, SplitByWorkersAndStages) {
  const Net net = *build_net(testing::resnet20());
  Subnetwork without_first = full_subnetwork(net);
  without_first.holds[0] = false;
  const std::vector<SegmentId> stages = {SegmentId(0), begin_of(net, BlockId(5)), end_segment(net)};
  // What both hold in stage 0, what only the second holds in stage 0, what both hold in stage 1.
  const auto classes = holder_classes(net, {without_first, full_subnetwork(net)}, stages, {0, 1});
  ASSERT_EQ(classes.size(), 3u);
  std::int64_t elements = 0;
  for (const HolderClass& c : classes)
    elements += c.elements;
  EXPECT_EQ(elements, parameter_count(net));
}

}  // namespace
}  // namespace rehearse
