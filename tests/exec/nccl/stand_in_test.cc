// That the stand-in locks where NCCL would: what passes on it is worth something only then.
#include "tests/exec/nccl/stand_in.h"

#include <gtest/gtest.h>

#include <array>

namespace rehearse::testing {
namespace {

// Three ranks of one thread: nothing that the stand-in does blocks. Rank r sends to rank r + 1 over
// communicator r, whose ranks they are in this order.
class Circle {
 public:
  explicit Circle(std::size_t kernels) : world_(kernels) {
    for (std::size_t r = 0; r < 3; ++r)
      ranks_.push_back(std::make_unique<NcclStandIn>(world_, r));
    for (std::size_t c = 0; c < 3; ++c) {
      const exec::NcclId id = ranks_[c]->new_id();
      for (const std::size_t half : {0, 1}) {
        NcclStandIn& rank = rank_of(c, half);
        halves_[c][half] = {rank.begin_communicator(id, 2, static_cast<int>(half)),
                            rank.new_stream()};
      }
    }
    for (std::size_t c = 0; c < 3; ++c)
      settle(c);
  }
  ~Circle() {
    for (std::size_t c = 0; c < 3; ++c) {
      for (const std::size_t half : {0, 1}) {
        rank_of(c, half).abort(halves_[c][half].communicator);
        rank_of(c, half).destroy(halves_[c][half].stream);
      }
    }
  }

  // This half of communicator c's message.
  void launch(std::size_t c, std::size_t half, std::size_t bytes = 1) {
    NcclStandIn& rank = rank_of(c, half);
    const auto& [communicator, stream] = halves_[c][half];
    rank.start_group();
    if (half == 0) rank.send(sent_.data() + c, bytes, 1, communicator, stream);
    if (half == 1) rank.receive(received_.data() + c, bytes, 0, communicator, stream);
    rank.end_group();
    while (rank.is_in_progress(communicator)) {
    }
  }

  // How many of the six halves end if one waits for very long.
  int ended() {
    constexpr int kVeryLong = 1000;  // a kernel needs less than 10 questions to go on
    int count = 0;
    for (int k = 0; k < kVeryLong; ++k) {
      count = 0;
      for (std::size_t c = 0; c < 3; ++c) {
        for (const std::size_t half : {0, 1})
          count += rank_of(c, half).is_done(halves_[c][half].stream) ? 1 : 0;
      }
    }
    return count;
  }
  const std::array<std::byte, 3>& received() const { return received_; }
  const std::array<std::byte, 3>& sent() const { return sent_; }

 private:
  struct Half {
    exec::NcclCommunicator* communicator;
    exec::NcclStream* stream;
  };
  NcclStandIn& rank_of(std::size_t c, std::size_t half) { return *ranks_[(c + half) % 3]; }
  void settle(std::size_t c) {
    for (const std::size_t half : {0, 1}) {
      while (rank_of(c, half).is_in_progress(halves_[c][half].communicator)) {
      }
    }
  }

  NcclWorld world_;
  std::vector<std::unique_ptr<NcclStandIn>> ranks_;
  std::array<std::array<Half, 2>, 3> halves_;
  std::array<std::byte, 3> sent_ = {std::byte{1}, std::byte{2}, std::byte{3}}, received_{};
};

// Every rank sends first, with room for one kernel: all wait for receives that nobody runs.
TEST(NcclStandIn, LocksInACircleOfKernels) {
  Circle circle(1);
  for (std::size_t c = 0; c < 3; ++c)
    circle.launch(c, 0);
  for (std::size_t c = 0; c < 3; ++c)
    circle.launch(c, 1);
  EXPECT_EQ(circle.ended(), 0);
}

TEST(NcclStandIn, EndsWhereBothKernelsOfARankRun) {
  Circle circle(2);
  for (std::size_t c = 0; c < 3; ++c)
    circle.launch(c, 0);
  for (std::size_t c = 0; c < 3; ++c)
    circle.launch(c, 1);
  EXPECT_EQ(circle.ended(), 6);
  EXPECT_EQ(circle.received(), circle.sent());
}

// Rank 0 receives first: no circle.
TEST(NcclStandIn, EndsWithoutACircle) {
  Circle circle(1);
  circle.launch(2, 1);
  for (std::size_t c = 0; c < 3; ++c)
    circle.launch(c, 0);
  circle.launch(0, 1);
  circle.launch(1, 1);
  EXPECT_EQ(circle.ended(), 6);
}

// Communicator 0's receive is never launched: its send stays.
TEST(NcclStandIn, WaitsForTheOtherHalf) {
  Circle circle(3);
  circle.launch(0, 0);
  EXPECT_EQ(circle.ended(), 5);  // the other streams have nothing to do
}

TEST(NcclStandIn, FindsHalvesThatDoNotMirrorEachOther) {
  Circle circle(1);
  circle.launch(0, 0, 1);
  circle.launch(0, 1, 2);
  EXPECT_THROW(circle.ended(), std::runtime_error);
}

}  // namespace
}  // namespace rehearse::testing
