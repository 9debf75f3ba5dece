#include "cost/closed_form/program_player.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

PlayedOp compute(double seconds, std::vector<std::size_t> after = {}) {
  PlayedOp op;
  op.seconds = seconds;
  op.after = std::move(after);
  return op;
}

// A rank's own links.
std::size_t away_from(std::size_t rank) {
  return 2 * rank;
}
std::size_t towards(std::size_t rank) {
  return 2 * rank + 1;
}

// So many messages that wait for a second and flow for so long alone, away from the rank and to it.
PlayedOp ring(std::size_t rank, std::size_t lane, std::size_t messages, double flows) {
  PlayedOp op;
  op.lane = lane;
  op.messages = messages;
  op.flows = flows;
  op.seconds = static_cast<double>(messages) * (1 + flows);
  op.uses = {{away_from(rank)}, {towards(rank)}};
  return op;
}

// Either end of it.
PlayedOp message(std::size_t from, std::size_t to, double flows) {
  PlayedOp op = ring(from, 1, 1, flows);
  op.uses = {{away_from(from)}, {towards(to)}};
  op.meeting = 0;
  return op;
}

double end_of(const PlayedStep& step, std::size_t rank, std::size_t op) {
  return step.spans[rank][op].end;
}

// One after the other on a lane, and after what they wait for on another.
TEST(ProgramPlayer, FollowsLanesAndDependencies) {
  PlayedOp late = compute(1, {1});
  late.lane = 1;
  const PlayedRank rank{2, {compute(2), compute(3), late, compute(4)}};
  const auto steps = play({rank}, {}, 2);
  EXPECT_DOUBLE_EQ(end_of(steps[0], 0, 1), 5);
  EXPECT_DOUBLE_EQ(steps[0].spans[0][2].begin, 5);
  EXPECT_DOUBLE_EQ(end_of(steps[0], 0, 3), 9);
  EXPECT_DOUBLE_EQ(steps[1].end, 18);
}

// A message begins when both ends have come to it, and either may go on into its next step.
TEST(ProgramPlayer, MeetsOnceBothAreThere) {
  const PlayedRank sender{2, {compute(3), message(0, 1, 1)}}, receiver{2, {message(0, 1, 1)}};
  PlayedRank waits = sender;
  waits.ops[1].after = {0};
  const auto steps = play({waits, receiver}, {{2}}, 2);
  EXPECT_DOUBLE_EQ(steps[0].spans[1][0].begin, 3);
  EXPECT_DOUBLE_EQ(end_of(steps[0], 1, 0), 5);  // a second of waiting, one of flowing
  EXPECT_DOUBLE_EQ(steps[1].end, 10);
}

// Two that flow together from 1 on have half of the link each: 2 seconds of both take 4. Of two
// messages the first ones end at 5, wait until 6 and flow until 10.
TEST(ProgramPlayer, SharesALink) {
  const auto one = play({{2, {ring(0, 0, 1, 2), ring(0, 1, 1, 2)}}}, {}, 1);
  EXPECT_DOUBLE_EQ(one[0].end, 5);
  const auto two = play({{2, {ring(0, 0, 2, 2), ring(0, 1, 2, 2)}}}, {}, 1);
  EXPECT_DOUBLE_EQ(two[0].end, 10);
}

// Who takes two bytes of the link for each of its own reaches half of its rate alone. Beside a
// message both go at a third of it: the message of 1 second takes 3; of the ring's 4, alone, 2 are
// done by then.
TEST(ProgramPlayer, SharesByWeight) {
  PlayedOp doubled = ring(0, 0, 1, 4);
  doubled.rate = 0.5;
  const PlayedRank sender{2, {doubled, message(0, 1, 1)}};
  const PlayedRank receiver{2, {message(0, 1, 1)}};
  const auto steps = play({sender, receiver}, {{2}}, 1);
  EXPECT_NEAR(end_of(steps[0], 0, 1), 1 + 3, 1e-9);
  EXPECT_NEAR(end_of(steps[0], 0, 0), 1 + 3 + 2, 1e-9);
}

// The two ways of a link are no matter to each other.
TEST(ProgramPlayer, SendsBesideWhatItReceives) {
  PlayedOp away = message(0, 1, 2), back = message(1, 0, 2);
  back.lane = 0;
  back.meeting = 1;
  const auto steps = play({{2, {away, back}}, {2, {away, back}}}, {{2}, {2}}, 1);
  EXPECT_DOUBLE_EQ(steps[0].end, 3);
}

// A message that is held up at its receiver leaves the sender's link to others: there it has a
// third, beside two rings, and the sender's ring the two thirds that are left.
TEST(ProgramPlayer, LeavesWhatItCannotUse) {
  const PlayedRank sender{2, {ring(0, 0, 1, 2), message(0, 1, 1)}};
  PlayedOp other = ring(1, 2, 1, 10);
  const PlayedRank receiver{3, {message(0, 1, 1), ring(1, 0, 1, 10), other}};
  const auto steps = play({sender, receiver}, {{2}}, 1);
  EXPECT_NEAR(end_of(steps[0], 0, 1), 1 + 3, 1e-9);
  EXPECT_NEAR(end_of(steps[0], 0, 0), 1 + 3, 1e-9);  // 2 seconds at two thirds
}

// Who reaches a part of a link alone takes no more of it beside others: of three that reach 0.3,
// 0.3 and all of it, the last one has the 0.4 that are left.
TEST(ProgramPlayer, GoesNoFasterThanAlone) {
  PlayedOp one = ring(0, 0, 1, 4), other = ring(0, 1, 1, 4);
  one.rate = other.rate = 0.3;
  one.uses = other.uses = {{0, 0.3}};
  const auto steps = play({{3, {one, other, ring(0, 2, 1, 1)}}}, {}, 1);
  EXPECT_NEAR(end_of(steps[0], 0, 0), 5, 1e-9);
  EXPECT_NEAR(end_of(steps[0], 0, 1), 5, 1e-9);
  EXPECT_NEAR(end_of(steps[0], 0, 2), 1 + 1 / 0.4, 1e-9);
}

// Ranks that have no link of their own in common meet on one in between.
TEST(ProgramPlayer, SharesAnUplink) {
  PlayedOp one = ring(0, 0, 1, 2), other = ring(1, 0, 1, 2);
  one.uses.push_back({9, 0.75});
  other.uses.push_back({9, 0.75});
  const auto steps = play({{1, {one}}, {1, {other}}}, {}, 1);
  EXPECT_NEAR(steps[0].end, 1 + 2 * 1.5, 1e-9);
}

}  // namespace
}  // namespace rehearse
