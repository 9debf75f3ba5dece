// Lower bounds of what a strategy takes, from its numbers alone: what a search may leave out.
//
// Notation: t tensor-parallel ranks, p of a pipeline, r replicas (or workers of subnetworks of
// coverage C; else C = 1), R = t p r devices; a step is of B samples, each replica's of B / r in m
// micro-batches of b = B / (r m).
//
// Time. In steady state the first rank of a pipeline begins a step when it has ended the one
// before, and every rank does all of its work once in that time T, one pass after the other. Let u
// be the seconds of one micro-batch through all blocks, of a rank's slice of the network: the
// prices of the kernels of all passes, with what is recomputed, and the exchanges of
// tensor-parallel ranks, which passes wait for. A pass takes its kernels or longer (host and copies
// may add to it).
//
//   (1) The passes of all p ranks add up to m C u (workers share a balanced network out: their mean
//       is at least C of it, and some worker has the mean or more); so some rank has
//       T >= C m u / p.
//   (2) Where each rank has one stage, rank j begins no forward before the first micro-batch has
//   come
//       through ranks 0 to j-1, and its last backward is followed by those of ranks j-1 to 0. With
//       u_j its part of u (forward, and backward as far as the stage before waits for it), S_j the
//       sum of those before,
//         T >= S_j + m u_j    for every j.
//       Hence S_{j+1} <= S_j + (T - S_j) / m, T - S_p >= T (1 - 1/m)^p, and as S_p = u,
//         T >= C u / (1 - (1 - 1/m)^p),
//       however stages are cut (with p = 1 it is (1) again).
//   (3) A rank's gradients are reduced, and where they are sharded its weights gathered, one after
//   the
//       other, once per step. Of h holders in a ring each sends (h-1)/h of the elements for a
//       reduce-scatter and as much for an all-gather, no faster than the fastest link there is;
//       where h is more than the devices of a node some of them sends between nodes. Of E elements
//       of a slice some rank has C E / p or more:
//         T >= (C E / p) (h-1)/h (bytes reduced + bytes gathered per element) / fastest link.
//   A family, whose micro-batch is open, has less: every FLOP takes its time by the fastest rate of
//   any kernel (fused causal attention computes half of what is counted, at least):
//         T >= C B F t / (R rate).
//   A whole run is that many steps longer: T times the step multiplier is what is searched by.
//
// Memory. Every rank keeps its state throughout: of E elements of a slice in p stages some rank has
// C E / p or more; what is sharded, in h t shares at most.
//   (4) Before its first backward a rank holds what one micro-batch has left for it, in every block
//   of
//       its stages; GPipe's all of them. Averaged over the ranks, some rank has
//         M >= (C state + C k) / p,    k: what a micro-batch, or m of them, leave in all blocks.
//       Blocks that are recomputed leave nothing that is counted here.
//   (5) While a pass of a block runs backward all that it keeps is there, recomputed or not: M >=
//   that
//       of the pass with most of it, of whoever has it; with p = 1 and C = 1 besides all of the
//       state.
//   Both besides what a process and libraries have on the device.
#pragma once

#include <map>
#include <memory>
#include <tuple>

#include "model/cluster/cluster.h"
#include "tools/advise/space.h"

namespace rehearse::advise {

// Steps of a whole run for one of data parallelism's: `given`, or 1/C; 1 of what is no subnetwork.
double step_multiplier(const Family& family, std::optional<double> given);

class Bounds {
 public:
  // The scenario must outlive it.
  explicit Bounds(const Scenario& scenario);

  // Seconds of a step, and bytes of the worst rank, that no point of the family is below.
  double time(const Family& family);
  std::int64_t memory(const Family& family, Sharding zero);
  // The same of a point. Times are 0 where ranks differ or vary by chance, bytes where they differ
  // or share a node's memory.
  double time(const Family& family, const Point& point);
  std::int64_t memory(const Family& family, const Point& point);

 private:
  // One micro-batch of so many samples through all blocks of a rank's slice.
  struct MicroBatch {
    // Seconds; backward as a whole, and where it is split the part for input gradients.
    double forward = 0, backward = 0, split_input = 0, split_weight = 0;
    std::int64_t kept = 0;     // bytes for backward, in all blocks
    std::int64_t largest = 0;  // of one pass
  };
  struct Slice {
    Net net;
    std::int64_t elements = 0;
    double exchanged = 0;  // bytes of a sample that each rank sends to others of its slices
    double flops = 0;      // of a sample, as they are priced at least
    std::map<std::pair<std::int64_t, bool>, MicroBatch> micro_batches;  // by samples; recomputed
  };

  Slice& slice(const Family& family);
  const MicroBatch& micro_batch(const Family& family, std::int64_t samples);
  std::int64_t state(const Family& family, Sharding zero);
  double reduction(const Family& family, Sharding zero);
  // Seconds that a byte takes between so many ranks; 0: no link is known.
  double byte_seconds(std::int64_t ranks) const;

  const Scenario& scenario_;
  const Net net_;
  bool is_timed_ = true, is_sized_ = true;
  double fastest_rate_ = 0;          // FLOP/s of any kernel
  double inside_ = 0, between_ = 0;  // bytes/s of the fastest link: any, of nodes
  std::map<std::tuple<std::int64_t, bool, bool>, std::unique_ptr<Slice>> slices_;
};

}  // namespace rehearse::advise
