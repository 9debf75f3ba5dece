// What an algorithm is to steps.h: one row, and one file that has it.
#pragma once

#include <memory>

#include "model/collective/steps.h"

namespace rehearse {

// Makes the steps of one shape.
class StepSource {
 public:
  virtual ~StepSource() = default;
  virtual CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                              std::size_t channel) const = 0;
};

// All of a shape that it does not refuse, of two members or more.
struct AlgorithmRow {
  CollectiveAlgorithm algorithm;
  std::string_view name, help;
  std::size_t channels;
  std::optional<std::string> (*refusal)(const CollectiveShape& shape);
  std::size_t (*steps)(const CollectiveShape& shape);
  std::int64_t (*room)(const CollectiveShape& shape, std::int64_t n);  // of what adds
  std::unique_ptr<const StepSource> (*make)(const CollectiveShape& shape);
};

AlgorithmRow bidirectional_ring_row();
AlgorithmRow double_tree_row();
AlgorithmRow doubling_row();
AlgorithmRow halving_doubling_row();
AlgorithmRow hierarchical_row();
AlgorithmRow in_network_row();
AlgorithmRow pairwise_row();
AlgorithmRow ring_row();

// ---- what several of them use ------------------------------------------------------------------

ElementRange chunk_at(std::size_t k, std::size_t members, std::int64_t n);
std::int64_t longest_chunk(std::size_t members, std::int64_t n);

// Of rings and pairwise exchanges alike.
std::size_t exchange_count(CollectiveKind kind, std::size_t members);
CollectiveStep ring_step(CollectiveKind kind, std::size_t member, std::size_t members,
                         std::int64_t n, std::size_t number);
// "all-reduces" only; who refuses a kind says which it has.
std::optional<std::string> refuse_all_but_all_reduces(const CollectiveShape& shape);
std::optional<std::string> refuse_broadcasts(const CollectiveShape& shape);

// Members beyond the last power of two, and its logarithm.
std::size_t extra_members(std::size_t members);
std::size_t levels_of(std::size_t members);

}  // namespace rehearse
