#include "exec/run/weight_hash.h"

#include <algorithm>
#include <cstring>

#include "model/base/text.h"
#include "model/net/tensor.h"

namespace rehearse::exec {
namespace {

// An invertible mix of place and content (the multipliers are those of splitmix64 and MurmurHash3),
// cheap enough for every weight of every step.
std::uint64_t mixed(std::uint64_t parameter, std::uint64_t element, std::uint64_t bits) {
  std::uint64_t word = (parameter << 40) + element;
  word = (word * 0x9e3779b97f4a7c15u) ^ bits;
  word = (word ^ (word >> 32)) * 0xff51afd7ed558ccdu;
  word = (word ^ (word >> 29)) * 0xc4ceb9fe1a85ec53u;
  return word ^ (word >> 32);
}

template <class Bits>
std::uint64_t sum_of(std::uint64_t parameter, std::int64_t first, const std::byte* memory,
                     std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    Bits bits;
    std::memcpy(&bits, memory + k * static_cast<std::int64_t>(sizeof bits), sizeof bits);
    sum += mixed(parameter, static_cast<std::uint64_t>(first + k), bits);
  }
  return sum;
}

std::uint64_t sum_of(ParameterId id, std::int64_t first, const std::byte* memory,
                     std::int64_t count, std::int64_t element_bytes) {
  switch (element_bytes) {
    case 2:
      return sum_of<std::uint16_t>(id.value(), first, memory, count);
    case 4:
      return sum_of<std::uint32_t>(id.value(), first, memory, count);
    case 8:
      return sum_of<std::uint64_t>(id.value(), first, memory, count);
  }
  REHEARSE_UNREACHABLE("weights of another size");
}

// Elements [from, to) of a parameter, whose first is at `memory`: of a slice by their places in the
// whole.
std::uint64_t sum_of_elements(const Net& net, ParameterId id, std::int64_t from, std::int64_t to,
                              const std::byte* memory, std::int64_t element_bytes) {
  const Parameter& parameter = net.parameters[id.index()];
  if (parameter.spread != Spread::sliced) return sum_of(id, from, memory, to - from, element_bytes);
  std::uint64_t sum = 0;
  for (const ParameterSlice::Run& run : parameter.slice->runs()) {
    const std::int64_t begin = std::max(from, run.part);
    const std::int64_t end = std::min(to, run.part + run.elements);
    if (begin < end)
      sum += sum_of(id, run.whole + begin - run.part, memory + (begin - from) * element_bytes,
                    end - begin, element_bytes);
  }
  return sum;
}

// Of a rank whose slice `net` is: elements [begin, end) of a class, whose weights are at `memory`,
// without what the first slice answers for.
struct Range {
  const Net& net;
  bool is_first;
  std::int64_t element_bytes;

  std::uint64_t sum(const ParameterClass& held, std::int64_t begin, std::int64_t end,
                    const std::byte* memory) const {
    std::uint64_t sum = 0;
    std::int64_t offset = 0;
    for (const ParameterId id : held.parameters) {
      const Parameter& parameter = net.parameters[id.index()];
      const std::int64_t n = parameter.shape.elements();
      const std::int64_t from = std::max(begin, offset), to = std::min(end, offset + n);
      const bool counts = is_first || parameter.spread != Spread::replicated;
      if (from < to && counts)
        sum += sum_of_elements(net, id, from - offset, to - offset,
                               memory + (from - begin) * element_bytes, element_bytes);
      offset += n;
    }
    return sum;
  }
};

// What this rank answers for: its shards, and of what others hold alike what it is the first to.
std::uint64_t own_sum(const Plan& plan, const Net& net, RankId rank, const Parameters& own) {
  const std::int64_t bytes = state_sizes(plan.training).parameter;
  const Net sliced = slice_of(net, plan.ranks[rank.index()].slice);
  const Range range{sliced, plan.ranks[rank.index()].slice == 0, bytes};
  const auto& classes = program_of(plan, rank).parameter_classes;
  std::uint64_t sum = 0;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const ParameterClass& held = classes[c];
    if (!held.is_held && !is_parked(held)) continue;
    const std::int64_t elements =
        held.sharding == Sharding::parameters ? shard_elements(held) : held.elements;
    const Mirror mirror = Mirror::of_device(
        own.device(),
        {own.flat_weights(ParameterClassId(c)), static_cast<std::size_t>(elements * bytes)});
    mirror.download();
    const std::byte* const weights = mirror.on_host();
    if (!held.group) {
      sum += range.sum(held, 0, held.elements, weights);
      continue;
    }
    const Group& group = group_at(plan, rank, *held.group);
    const std::size_t member = member_number(group, rank);
    if (held.sharding != Sharding::parameters) {
      if (member == 0 || !copies_agree(plan)) sum += range.sum(held, 0, held.elements, weights);
      continue;
    }
    std::int64_t begin = 0;
    for (const std::int64_t end : held.buckets) {
      const ElementRange chunk = chunk_of(begin, end, group.members.size(), member);
      sum += range.sum(held, chunk.begin, chunk.end, weights + shard_offset(held, begin) * bytes);
      begin = end;
    }
  }
  return sum;
}

}  // namespace

std::uint64_t weight_hash(const Plan& plan, const Net& net, const Parameters& own,
                          Transport& transport) {
  // As two halves: the text of numbers is signed.
  const std::uint64_t mine = own_sum(plan, net, transport.rank(), own);
  const auto low = static_cast<std::int64_t>(mine & 0xffffffffu);
  const auto high = static_cast<std::int64_t>(mine >> 32);
  std::uint64_t sum = 0;
  for (const std::string& text : transport.gather(fmt::format("{} {}", high, low))) {
    const auto words = split(text, ' ');
    sum += (static_cast<std::uint64_t>(*parse_integer(words[0])) << 32) +
           static_cast<std::uint64_t>(*parse_integer(words[1]));
  }
  return sum;
}

}  // namespace rehearse::exec
