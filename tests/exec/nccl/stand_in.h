// What NCCL does to its callers, without a GPU: for tests of whoever calls it.
//
// Nothing is done in a call: communicators come later, launches come later, kernels run when
// somebody asks how far they are. A device runs only so many kernels at once; a kernel that runs
// stays until the other rank's runs as well, even if others that could go on must wait for it.
// Halves of a group that do not mirror each other, at which NCCL would hang or give one message's
// bytes to another, are found and named; so are calls that come too early.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "exec/nccl/calls.h"
#include "model/base/random.h"

namespace rehearse::testing {

// Where the ranks of one job meet.
class NcclWorld {
 public:
  // kernels: of one device, at once.
  explicit NcclWorld(std::size_t kernels);
  ~NcclWorld();

  int made() const { return made_; }            // communicators, one for both ranks
  int aborted() const { return aborted_; }      // halves of them
  int destroyed() const { return destroyed_; }  // halves, too
  std::size_t groups() const { return groups_; }
  std::size_t most_in_group() const { return most_in_group_; }

 private:
  friend class NcclStandIn;
  struct Meeting;
  const std::size_t kernels_;
  std::mutex mutex_;  // of all that follows
  std::map<std::uint64_t, std::unique_ptr<Meeting>> meetings_;
  std::uint64_t last_id_ = 0;
  std::atomic<int> made_ = 0, aborted_ = 0, destroyed_ = 0;
  std::atomic<std::size_t> groups_ = 0, most_in_group_ = 0;
};

// One rank's.
class NcclStandIn : public exec::NcclCalls {
 public:
  struct Piece {
    bool sends;
    std::byte* at;
    std::size_t bytes;
  };
  // Does something to the device's memory, at once.
  using Reach = std::function<void(const std::function<void()>&)>;
  // seed: of how long it all takes.
  NcclStandIn(
      NcclWorld& world, std::uint64_t seed, Reach reach = [](const auto& work) { work(); });
  ~NcclStandIn() override;  // every stream must be gone

  exec::NcclId new_id() override;
  exec::NcclCommunicator* begin_communicator(const exec::NcclId& id, int ranks, int rank) override;
  bool is_in_progress(exec::NcclCommunicator* communicator) override;
  void start_group() override;
  void send(const void* from, std::size_t bytes, int to, exec::NcclCommunicator* communicator,
            exec::NcclStream* stream) override;
  void receive(void* into, std::size_t bytes, int from, exec::NcclCommunicator* communicator,
               exec::NcclStream* stream) override;
  void end_group() override;
  void begin_end(exec::NcclCommunicator* communicator) override;
  void destroy(exec::NcclCommunicator* communicator) override;
  void abort(exec::NcclCommunicator* communicator) override;
  exec::NcclStream* new_stream() override;
  bool is_done(exec::NcclStream* stream) override;
  void destroy(exec::NcclStream* stream) override;
  std::size_t most_kernels() const override { return world_.kernels_; }

 private:
  struct Kernel;
  void add(Piece piece, int peer, exec::NcclCommunicator* communicator, exec::NcclStream* stream);
  void run();
  bool run(Kernel& kernel);
  static void check_mirrored(const NcclWorld::Meeting& meeting);

  NcclWorld& world_;
  Random random_;
  Reach reach_;
  std::unique_ptr<Kernel> group_;                          // between start_group() and end_group()
  std::deque<std::unique_ptr<Kernel>> waiting_, running_;  // of the device
  int streams_ = 0;
};

}  // namespace rehearse::testing
