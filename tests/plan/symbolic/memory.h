// What the buffers of one rank hold.
#pragma once

#include <vector>

#include "tests/plan/symbolic/facts.h"
#include "tests/plan/symbolic/words.h"

namespace rehearse::testing::symbolic {

class RankMemory {
 public:
  // Weights and the optimizer's state are there from the start.
  explicit RankMemory(const RankFacts& rank);

  // Gradients are sums that begin at zero; what is reduced into shards is written first. Nothing
  // but what is persistent may be left of the period before.
  void begin_period();

  // What is freed comes back unwritten.
  void allocate(OpId by, BufferId b);
  void free(BufferId b) { memory_[b.index()].allocated = false; }
  bool is_allocated(BufferId b) const { return memory_[b.index()].allocated; }

  std::int64_t size(BufferId b) const;  // in words
  const std::vector<Word>& words(BufferId b) const { return memory_[b.index()].words; }
  void write(BufferId b, std::int64_t element, Word content);
  // What nobody has written cannot be read.
  Word read(OpId by, BufferId b, std::int64_t element = 0) const;
  // Sums begin at zero where nobody has written.
  void begin_sums(BufferId b);

 private:
  struct Memory {
    bool allocated = false;
    std::vector<Word> words;
  };

  std::vector<Word> first_weights(const ParameterClass& held) const;
  void forget_absent(BufferId b);

  const RankFacts& rank_;
  std::vector<Memory> memory_;  // by buffer
};

}  // namespace rehearse::testing::symbolic
