#include "cost/closed_form/worker_parts.h"

namespace rehearse {

std::size_t WorkerParts::number(const std::shared_ptr<const Net>& net,
                                const std::vector<std::size_t>& contents, const PassRange& range) {
  const Net& whole = whole_.net();
  const BlockId first = whole.segments[range.begin.index()].block,
                last = whole.segments[range.end.index() - 1].block;
  std::vector<std::size_t> key = {static_cast<std::size_t>(range.pass),
                                  range.begin.index() - begin_of(whole, first).index(),
                                  range.end.index() - begin_of(whole, last).index()};
  for (std::size_t block = first.index(); block <= last.index(); ++block) {
    if (contents[block] != UnitNet::kNothing) key.push_back(contents[block]);
  }
  const auto [known, is_new] = known_.try_emplace(std::move(key), parts_.size());
  if (is_new) parts_.push_back({net, range});
  return known->second;
}

const std::vector<PartPass>& WorkerParts::prices(const StageProgram& program,
                                                 std::int64_t samples) {
  Prices& prices = by_samples_[samples];
  prices.parts.resize(parts_.size());
  prices.known.resize(parts_.size(), false);
  for (std::size_t op = 0; op < program.program().ops.size(); ++op) {
    const auto number = program.part_of(op);
    if (!number || prices.known[*number]) continue;
    const Part& part = parts_[*number];
    prices.parts[*number] = price_part(*part.net, part.range, samples, training_, device_);
    prices.known[*number] = true;
  }
  return prices.parts;
}

}  // namespace rehearse
