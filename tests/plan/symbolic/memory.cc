#include "tests/plan/symbolic/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {

RankMemory::RankMemory(const RankFacts& rank) : rank_(rank) {
  for (const Buffer& buffer : rank.program.buffers) {
    Memory& memory = memory_.emplace_back();
    memory.allocated = is_persistent(buffer.kind);
    memory.words.assign(index(words_of(rank.program, buffer)),
                        buffer.kind == BufferKind::optimizer_state ? kZero : kUnwritten);
    if (buffer.kind != BufferKind::parameters && buffer.kind != BufferKind::outer_state) continue;
    const ParameterClass& held = rank.class_of(buffer);
    std::vector<Word> whole = first_weights(held);
    if (!is_shard(held, buffer.kind)) {
      memory.words = std::move(whole);
      continue;
    }
    for (const Share& share : shares(rank, held)) {
      for (std::int64_t e = share.chunk.begin; e < share.chunk.end; ++e)
        memory.words[index(share.in_shard(e))] = whole[index(e)];
    }
  }
}

std::vector<Word> RankMemory::first_weights(const ParameterClass& held) const {
  std::vector<Word> words;
  for (const ParameterId p : held.parameters) {
    const Parameter& parameter = rank_.full.parameters[p.index()];
    const bool sliced = parameter.spread == Spread::sliced;
    const Word slice = sliced ? static_cast<Word>(rank_.binding.slice) : 0;
    for (std::int64_t k = 0; k < parameter.shape.elements(); ++k)
      words.push_back(hash({term_init, p.index(), slice, static_cast<Word>(k)}));
  }
  return words;
}

void RankMemory::begin_period() {
  for (std::size_t b = 0; b < memory_.size(); ++b) {
    const Buffer& buffer = rank_.program.buffers[b];
    if (!is_persistent(buffer.kind) && memory_[b].allocated)
      throw Problem(fmt::format("rank {}: buffer {} is never freed", rank_.id.value(), b));
    if (buffer.kind != BufferKind::gradients) continue;
    const bool shard = is_shard(rank_.class_of(buffer), BufferKind::gradients);
    memory_[b].words.assign(memory_[b].words.size(), shard ? kUnwritten : kZero);
    if (rank_.plan.survival) forget_absent(BufferId(b));
  }
}

// Gradients of what does not run are whatever they were.
void RankMemory::forget_absent(BufferId b) {
  std::set<ParameterId> used;
  for (const Stage& stage : rank_.program.stages) {
    const auto parameters = parameters_of(rank_.net, stage.begin, stage.end);
    used.insert(parameters.begin(), parameters.end());
  }
  std::size_t at = 0;
  for (const ParameterId id : rank_.class_of(rank_.buffer(b)).parameters) {
    const auto elements = index(rank_.net.parameters[id.index()].shape.elements());
    for (std::size_t e = at; e < at + elements && used.count(id) == 0; ++e)
      memory_[b.index()].words[e] = kUnwritten;
    at += elements;
  }
}

void RankMemory::allocate(OpId by, BufferId b) {
  Memory& memory = memory_[b.index()];
  if (memory.allocated) rank_.fail(by, "it allocates what is there");
  memory.allocated = true;
  memory.words.assign(memory.words.size(), kUnwritten);
}

std::int64_t RankMemory::size(BufferId b) const {
  return static_cast<std::int64_t>(memory_[b.index()].words.size());
}

void RankMemory::write(BufferId b, std::int64_t element, Word content) {
  memory_[b.index()].words[index(element)] = content;
}

Word RankMemory::read(OpId by, BufferId b, std::int64_t element) const {
  const Word content = memory_[b.index()].words[index(element)];
  if (content == kUnwritten)
    rank_.fail(by, fmt::format("it reads element {} of buffer {}, which nobody has written",
                               element, b.value()));
  return content;
}

void RankMemory::begin_sums(BufferId b) {
  auto& words = memory_[b.index()].words;
  std::replace(words.begin(), words.end(), kUnwritten, kZero);
}

}  // namespace rehearse::testing::symbolic
