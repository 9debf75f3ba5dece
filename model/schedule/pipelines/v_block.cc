#include "model/schedule/pipelines/v_block.h"

#include <deque>
#include <map>

#include "model/base/check.h"

namespace rehearse::pipelines {
namespace {

constexpr std::int64_t kPeriod = 6;  // three passes of each of two chunks

// The rank's forwards and input gradients by the unit in which they start.
std::map<std::int64_t, Slot> passes_by_time(const std::vector<StageId>& stages, const VBlock& block,
                                            std::int64_t micro_batches) {
  std::map<std::int64_t, Slot> passes;
  const auto add = [&](std::int64_t time, const Slot& slot) {
    REHEARSE_CHECK(passes.emplace(time, slot).second, "two passes at {}", time);
  };
  for (std::int64_t m = 0; m < micro_batches; ++m) {
    for (const std::size_t chunk : {0u, 1u}) {
      add(block.forward[chunk] + kPeriod * m, {Task::forward, stages[chunk], MicroBatchId(m)});
      add(block.backward_input[chunk] + kPeriod * m,
          {Task::backward_input, stages[chunk], MicroBatchId(m)});
    }
  }
  return passes;
}

std::vector<Slot> with_weights(const std::map<std::int64_t, Slot>& passes) {
  std::vector<Slot> order;
  std::deque<Slot> owed;
  const auto pay = [&] {
    order.push_back(owed.front());
    owed.pop_front();
  };
  std::int64_t now = 0;
  for (const auto& [time, slot] : passes) {
    for (; now < time; ++now) {
      if (!owed.empty()) pay();
    }
    order.push_back(slot);
    if (slot.task == Task::backward_input)
      owed.push_back({Task::backward_weight, slot.stage, slot.micro_batch});
    now = time + 1;
  }
  while (!owed.empty())
    pay();
  return order;
}

}  // namespace

std::vector<std::vector<Slot>> repeat_blocks(const PipelineShape& shape,
                                             const std::vector<VBlock>& blocks) {
  std::vector<std::vector<Slot>> ranks;
  for (std::size_t rank = 0; rank < blocks.size(); ++rank) {
    const auto passes = passes_by_time(stages_of(shape, rank), blocks[rank], shape.micro_batches);
    ranks.push_back(with_weights(passes));
  }
  return ranks;
}

}  // namespace rehearse::pipelines
