// How gradients are summed: parameters grouped by who holds them, cut into buckets that are reduced
// while backward still runs, in an order that all ranks share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// Parameters that the same workers hold on the same ranks of their pipelines (several, where stages
// share a tied parameter), in the order in which backward finishes them: one flat buffer.
struct HolderClass {
  std::vector<bool> workers;
  std::vector<bool> pipeline;  // by rank of the pipeline
  // Whether tensor-parallel ranks have terms of the gradients (Spread::partial), so that they are
  // summed over these, too.
  bool partial = false;
  std::vector<ParameterId> parameters;
  std::int64_t elements = 0;
  // Where no worker holds them: the replica that they are parked on (data replica times workers
  // plus worker).
  std::optional<std::size_t> parked = std::nullopt;
};

// Elements [begin, end) of a class, reduced together.
struct Bucket {
  std::size_t holder_class = 0;
  std::int64_t begin = 0, end = 0;
  std::vector<ParameterId> parameters;
  // The earliest segment that uses one: when backward has passed it, it is full.
  SegmentId first_use;
};

// starts: first segment of each stage, and the network's end; ranks: on which rank of the pipeline
// each stage stands; parked: by unit, the replica where what nobody holds is parked (empty: there
// is no such unit). Classes in the order of their first parameter in backward.
std::vector<HolderClass> holder_classes(const Net& net, const std::vector<Subnetwork>& workers,
                                        const std::vector<SegmentId>& starts,
                                        const std::vector<std::size_t>& ranks,
                                        const std::vector<std::optional<std::size_t>>& parked = {});

struct BucketRule {
  Bytes size;
  std::int64_t gradient_bytes = 4;
  // One bucket per block, whatever its size: parameters that are gathered block by block.
  bool by_block = false;
};

// Of one class, in the order in which backward finishes them: whole parameters until a bucket has
// rule.size bytes or more (as PyTorch's DistributedDataParallel). number: the class's.
std::vector<Bucket> cut_class(const Net& net, const HolderClass& holder_class, std::size_t number,
                              const BucketRule& rule);

// Of all classes.
//
// The order is the one in which every rank issues its buckets. Buckets conflict when a rank takes
// part in both; colouring the conflict graph with few colours lets buckets of one colour run side
// by side; colours are numbered by readiness. In plain index order, cyclic windows of holders would
// wait for one another all around the circle. What is parked is in no bucket.
std::vector<Bucket> cut_buckets(const Net& net, const std::vector<HolderClass>& classes,
                                const BucketRule& rule);

}  // namespace rehearse
