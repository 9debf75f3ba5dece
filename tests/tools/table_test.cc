// What people read.
#include <gtest/gtest.h>

#include "tests/tools/summaries.h"
#include "tools/summary/diff.h"
#include "tools/summary/missing.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

TEST(Table, AlignsTheFirstColumnLeftAndTheOthersRight) {
  EXPECT_EQ(align_columns({{"name", "a"}, {"x", "1.5 ms"}, {"longer", "-"}}).plain(),
            "name         a\n"
            "x       1.5 ms\n"
            "longer       -\n");
}

// Spaces are no part of a cell that stands out, nor of a heading.
TEST(Table, HeadingsAndMarkedCellsStandOut) {
  const StyledText text =
      align_columns({{"name", "fits"}, {"x", "yes"}, {"longer", "NO"}}, {{2, 1, Emphasis::bad}});
  EXPECT_EQ(text.coloured(),
            "\x1b[1mname\x1b[0m    \x1b[1mfits\x1b[0m\n"
            "x        yes\n"
            "longer    \x1b[1;31mNO\x1b[0m\n");
}

TEST(Table, WhatDoesNotFitStandsOut) {
  Summary summary = testing::summary("predicted");
  const std::string bad = "\x1b[1;31m";
  EXPECT_EQ(print_table(summary).coloured().find(bad), std::string::npos);
  summary.strategies[1].fits = false;
  const std::string text = print_table(summary).coloured();
  EXPECT_EQ(text.find(bad + "NO\x1b[0m\n"), text.rfind(bad)) << text;
}

TEST(Table, OfStrategies) {
  Summary summary = testing::summary("predicted");
  summary.strategies[1].fits = false;
  EXPECT_EQ(print_table(summary).plain(),
            "strategy  step time  samples/s  peak memory  sent/worker  compute  exposed comm     "
            "idle  bubble  fits\n"
            "ddp          100 ms      2,560     12.0 MiB      101 KiB  50.0 ms       25.0 ms  25.0 "
            "ms  25.0 %   yes\n"
            "pipe         200 ms      1,280     12.0 MiB      101 KiB   100 ms       50.0 ms  50.0 "
            "ms  25.0 %    NO\n");
}

TEST(Table, ShowsBandsWhereThereAreSome) {
  Summary summary = testing::summary("predicted");
  summary.strategies[0].step_time_band = {Seconds::seconds(0.09), Seconds::seconds(0.111)};
  const std::string text = print_table(summary).plain();
  EXPECT_NE(text.find("strategy  step time       90 % of runs  samples/s"), std::string::npos)
      << text;
  EXPECT_NE(text.find("ddp          100 ms  90.0 ms to 111 ms"), std::string::npos) << text;
  EXPECT_NE(text.find("pipe         200 ms                  -"), std::string::npos) << text;
  EXPECT_EQ(text.find("No error bands"), std::string::npos);
}

TEST(Table, SaysOnceThatThereAreNoBandsAndWhatIsNotPriced) {
  Summary summary = testing::summary("predicted");
  EXPECT_EQ(print_table(summary).plain().find("No error bands"), std::string::npos) << "measured";
  for (StrategySummary& s : summary.strategies)
    s.price_shares = {1, 0, 0};
  summary.strategies[0].missing_prices = {MissingPrice::messaging};
  summary.strategies[1].missing_prices = {MissingPrice::messaging, MissingPrice::capacity};
  const std::string text = print_table(summary).plain();
  EXPECT_EQ(
      text.substr(text.find("Rates that")),
      "Rates that computing is priced by: measured 100 %.\n"
      "Taken for nothing, since the profile of 'tiny' lacks it: what messages cost their ranks "
      "(messaging), how ranks share a node's cores (capacity).\n"
      "No error bands: the profile of 'tiny' says nothing of its errors.\n");
  for (StrategySummary& s : summary.strategies)
    s.missing_prices = {MissingPrice::interconnect};
  const std::string free = print_table(summary).plain();
  EXPECT_NE(free.find("\nTaken for nothing, since 'cluster' says nothing of it: the links between "
                      "GPUs of a node (interconnect).\nNo error bands"),
            std::string::npos)
      << free;
}

// Where there is no plan to ask: several GPUs of a node, and nothing that links them.
TEST(Table, KnowsOfAClusterWhetherItsLinksAreFree) {
  ClusterSpec cluster;
  cluster.device.kind = DeviceKind::gpu;
  cluster.devices_per_node = 2;
  EXPECT_EQ(missing_links(cluster), missing_of_cluster(MissingPrice::interconnect));
  ClusterSpec other = cluster;
  other.devices_per_node = 1;
  EXPECT_EQ(missing_links(other), "");
  other = cluster;
  other.device.kind = DeviceKind::cpu;
  EXPECT_EQ(missing_links(other), "");
  other = cluster;
  other.interconnect.emplace();
  EXPECT_EQ(missing_links(other), "");
}

TEST(Table, SaysWhatAPeriodIsMadeOf) {
  Summary summary = testing::summary("predicted");
  EXPECT_EQ(print_table(summary).plain().find("synchronises"), std::string::npos);
  summary.strategies[1].local_steps = {8, Seconds::microseconds(3000), Seconds::microseconds(4000)};
  EXPECT_NE(print_table(summary).plain().find(
                "\npipe synchronises every 8 steps: that one takes 4.00 ms, "
                "the others 3.00 ms.\n"),
            std::string::npos)
      << print_table(summary).plain();
}

// A step of 60 ms for one of 100, but twice as many of them: 120 % of the time; 50 KiB for 201, so
// half of the bytes. What has less of something is named.
TEST(Table, OfSubnetworksShowsTheWholeRun) {
  Summary summary = testing::summary("predicted");
  summary.strategies[0].data_parallel = true;
  summary.strategies[0].largest = {Bytes::mib(6), Bytes::mib(8)};
  summary.strategies[1].largest = {Bytes::mib(1), Bytes::mib(9)};
  summary.strategies.push_back(testing::subnetwork_summary("sub", 60));
  const std::string text = print_table(summary).plain();
  EXPECT_EQ(
      text.substr(text.find("\n\n") + 2),
      "subnetworks  coverage  holders           state     activations       sent/step  steps  "
      "sent/run  run time\n"
      "sub               0.5   1 of 2  3.00 MiB, 50 %  6.00 MiB, 75 %  50.0 KiB, 25 %    x 2  "
      "    50 %     120 %\n"
      "Shares are of ddp's; sent/step is of all workers together.\n"
      "Less state: pipe (1.00 MiB) than any of these.\n"
      "The fastest run is ddp's.\n");
  // A second every hundred steps is 10 ms a step, and 50 KiB to each of two ranks 1 KiB.
  summary.strategies[2].subnetwork->redraw = {100, Bytes::kib(50), Seconds::seconds(1)};
  EXPECT_NE(print_table(summary).plain().find("x 2      51 %     140 %\n"), std::string::npos)
      << print_table(summary).plain();
  EXPECT_NE(print_table(summary).plain().find(
                "sub redraws its masks every 100 steps: 50.0 KiB to a rank, in 1.00 s.\n"),
            std::string::npos);
  summary.strategies[2].subnetwork->redraw.reset();
  // Without data parallelism there is nothing to take shares of.
  summary.strategies.erase(summary.strategies.begin(), summary.strategies.begin() + 2);
  EXPECT_NE(print_table(summary).plain().find(
                "3.00 MiB     6.00 MiB   50.0 KiB    x 2         -         -"),
            std::string::npos)
      << print_table(summary).plain();
}

// Where units have unequal numbers of holders, coverage is the mean share and all three are shown.
TEST(Table, OfSubnetworksShowsUnequalHolders) {
  Summary summary = testing::summary("predicted");
  summary.strategies.push_back(testing::subnetwork_summary("sub", 60));
  EXPECT_EQ(print_table(summary).plain().find("fewest / mean / most"), std::string::npos);
  SubnetworkSummary& it = *summary.strategies[2].subnetwork;
  it.workers = 4;
  it.holders = 1;
  it.units = {{"block1", {0, 1, 2, 3}}, {"block2", {0, 1, 3}}, {"block3", {0}}, {"block4", {0}}};
  const std::string text = print_table(summary).plain();
  EXPECT_NE(text.find("sub            0.5625  1 / 2.25 / 4 of 4  "), std::string::npos) << text;
  EXPECT_NE(text.find("Holders of units that have not equally many: fewest / mean / most.\n"),
            std::string::npos)
      << text;
  const std::string json = print_json(summary);
  EXPECT_NE(json.find("\"holders_mean\": 2.25"), std::string::npos) << json;
  const Result<Summary> again = parse_summary(json, "summary.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(print_table(*again).plain(), text);
}

TEST(Diff, HoldsOneAgainstTheOther) {
  const Summary predicted = testing::summary("predicted");
  Summary measured = testing::summary("measured");
  measured.strategies.resize(1);
  measured.strategies[0].step_time = Seconds::seconds(0.125);
  measured.strategies[0].ranks[1].traffic->sent += Bytes::bytes(1);
  const Result<StyledText> text = print_diff(predicted, measured);
  ASSERT_TRUE(text.ok()) << format(text.errors());
  EXPECT_NE(text->plain().find("100 ms"), std::string::npos) << text->plain();
  EXPECT_NE(text->plain().find("-20.0 %"), std::string::npos) << "100 of 125 ms";
  EXPECT_NE(text->plain().find("bytes differ on ranks 1"), std::string::npos) << text->plain();
}

// The worst rank's bytes are the table's; a figure that was not taken is a dash.
TEST(Table, AFigureThatWasNotTakenIsADash) {
  Summary summary = testing::summary("measured");
  summary.strategies.resize(1);
  summary.strategies[0].fits.reset();
  const std::string text = print_table(summary).plain();
  EXPECT_EQ(text.substr(text.size() - 3), " -\n") << text;
}

TEST(Diff, OfASummaryWithItselfIsEqualThroughout) {
  const Result<StyledText> text =
      print_diff(testing::summary("predicted"), testing::summary("measured"));
  ASSERT_TRUE(text.ok()) << format(text.errors());
  EXPECT_EQ(text->plain().find('%'), std::string::npos) << text->plain();
  EXPECT_NE(text->plain().find("bytes of every rank: equal"), std::string::npos) << text->plain();
}

// The sum over the ranks agrees where the ranks do not.
TEST(Diff, ComparesBytesRankByRank) {
  Summary measured = testing::summary("measured");
  auto& ranks = measured.strategies[0].ranks;
  std::swap(ranks[0].traffic->sent, ranks[1].traffic->sent);
  const Result<StyledText> text = print_diff(testing::summary("predicted"), measured);
  ASSERT_TRUE(text.ok()) << format(text.errors());
  EXPECT_NE(text->plain().find("bytes differ on ranks 0, 1\n"), std::string::npos) << text->plain();
}

TEST(Diff, SaysWhatWasMeasuredButNotPredicted) {
  Summary predicted = testing::summary("predicted");
  predicted.strategies.resize(1);
  const Result<StyledText> text = print_diff(predicted, testing::summary("measured"));
  ASSERT_TRUE(text.ok()) << format(text.errors());
  EXPECT_NE(text->plain().find("\npipe: measured, not predicted\n"), std::string::npos)
      << text->plain();
}

TEST(Diff, RefusesDifferentPlans) {
  Summary measured = testing::summary("measured");
  measured.strategies[0].plan_hash = "fedcba9876543210";
  EXPECT_FALSE(print_diff(testing::summary("predicted"), measured).ok());
}

TEST(Diff, RefusesFilesWithNothingInCommon) {
  Summary measured = testing::summary("measured");
  for (StrategySummary& s : measured.strategies)
    s.strategy += " of others";
  const Result<StyledText> text = print_diff(testing::summary("predicted"), measured);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.errors()[0].message, "the two files have no strategy in common");
}

}  // namespace
}  // namespace rehearse
