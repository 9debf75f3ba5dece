#include "exec/run/parameters.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"
#include "model/base/random.h"

namespace rehearse::exec {

Parameters::Parameters(const Plan& plan, RankId rank, const Net& net, const Arena& arena)
    : plan_(plan),
      rank_(rank),
      program_(program_of(plan, rank)),
      net_(net),
      sizes_(state_sizes(plan.training)),
      flat_(program_.parameter_classes.size()),
      parts_(flat_.size()) {
  for (std::size_t c = 0; c < flat_.size(); ++c) {
    std::int64_t offset = 0;
    for (const ParameterId id : program_.parameter_classes[c].parameters) {
      const std::int64_t elements = net.parameters[id.index()].shape.elements();
      places_[id] = {ParameterClassId(c), offset, elements};
      offset += elements;
    }
  }
  for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
    const Buffer& buffer = program_.buffers[b];
    if (!is_persistent(buffer.kind)) continue;
    Flat& flat = flat_[buffer.parameter_class->index()];
    std::byte* memory = arena.at(BufferId(b)).data();
    if (buffer.kind == BufferKind::parameters) flat.weights = memory;
    if (buffer.kind == BufferKind::gradients) flat.gradients = memory;
    if (buffer.kind == BufferKind::optimizer_state)
      flat.moments = moments_in(memory, held(*buffer.parameter_class));
  }
  for (std::size_t c = 0; c < flat_.size(); ++c)
    cut_parts(ParameterClassId(c));
}

Moments Parameters::moments_in(std::byte* state, const ParameterClass& held) const {
  const std::int64_t elements =
      held.sharding == Sharding::none ? held.elements : shard_elements(held);
  Moments moments = {};
  for (std::int64_t k = 0; k < moments_of(plan_.training.optimizer); ++k)
    moments[static_cast<std::size_t>(k)] = state + k * elements * sizes_.moment;
  return moments;
}

// All of a class, or a chunk of every bucket.
std::vector<Parameters::Own> Parameters::own_ranges(ParameterClassId c) const {
  const ParameterClass& it = held(c);
  if (it.sharding == Sharding::none) return {{0, it.elements, 0}};
  const Group& group = group_at(plan_, rank_, *it.group);
  std::vector<Own> own;
  std::int64_t begin = 0;
  for (const std::int64_t end : it.buckets) {
    const ElementRange chunk =
        chunk_of(begin, end, group.members.size(), member_number(group, rank_));
    own.push_back({chunk.begin, chunk.end, shard_offset(it, begin)});
    begin = end;
  }
  return own;
}

void Parameters::cut_parts(ParameterClassId c) {
  for (const Own& own : own_ranges(c)) {
    std::int64_t begin = own.begin;
    for (const ParameterId id : held(c).parameters) {
      const ParameterPlace& place = places_.at(id);
      const std::int64_t end = std::min(own.end, place.offset + place.elements);
      if (end <= begin) continue;
      const bool decays = net_.parameters[id.index()].decays;
      const Part next = part_at(c, own, begin, end, decays);
      std::vector<Part>& parts = parts_[c.index()];
      const bool goes_on = begin > own.begin && parts.back().decays == decays;
      if (goes_on) {
        parts.back().elements += next.elements;
      } else {
        parts.push_back(next);
      }
      begin = end;
    }
  }
}

Parameters::Part Parameters::part_at(ParameterClassId c, const Own& own, std::int64_t begin,
                                     std::int64_t end, bool decays) const {
  const Flat& flat = flat_[c.index()];
  const auto at = [&](void* memory, std::int64_t element, Sharding level) {
    const std::int64_t place = held(c).sharding >= level ? own.shard + begin - own.begin : begin;
    return memory == nullptr ? nullptr : static_cast<std::byte*>(memory) + place * element;
  };
  const auto moment = [&](std::size_t k) {
    return at(flat.moments[k], sizes_.moment, Sharding::optimizer_state);
  };
  return {at(flat.weights, sizes_.parameter, Sharding::parameters),
          at(flat.gradients, sizes_.gradient, Sharding::gradients),
          {moment(0), moment(1)},
          end - begin,
          decays};
}

void Parameters::initialize(Backend& backend, std::uint64_t seed) const {
  for (const auto& [id, place] : places_) {
    const ParameterClassId c = place.parameter_class;
    const std::vector<double> values = initial_values(net_.parameters[id.index()], id, seed);
    const bool sharded = held(c).sharding == Sharding::parameters;
    const std::vector<Own> ranges =
        sharded ? own_ranges(c) : std::vector<Own>{{0, held(c).elements, 0}};
    for (const Own& own : ranges) {
      const std::int64_t begin = std::max(own.begin, place.offset);
      const std::int64_t end = std::min(own.end, place.offset + place.elements);
      if (begin >= end) continue;
      backend.store(
          flat_weights(c) + (own.shard + begin - own.begin) * sizes_.parameter,
          {values.begin() + (begin - place.offset), values.begin() + (end - place.offset)});
    }
  }
  for (std::size_t c = 0; c < flat_.size(); ++c) {
    for (const Part& part : parts_[c]) {
      for (void* moment : part.moments) {
        if (moment != nullptr) backend.fill_zero(moment, part.elements);
      }
    }
  }
}

std::vector<double> initial_values(const Parameter& parameter, ParameterId id, std::uint64_t seed) {
  std::vector<double> values(static_cast<std::size_t>(parameter.shape.elements()));
  Random random(seed, id.value());
  const auto fill = [&](auto draw) { std::generate(values.begin(), values.end(), draw); };
  switch (parameter.init) {
    case Init::zeros:
      fill([] { return 0.0; });
      break;
    case Init::ones:
      fill([] { return 1.0; });
      break;
    case Init::he_normal: {
      const double deviation = std::sqrt(2.0 / static_cast<double>(parameter.fan_in));
      fill([&] { return deviation * random.normal(); });
      break;
    }
    case Init::glorot_uniform: {
      const double limit =
          std::sqrt(6.0 / static_cast<double>(parameter.fan_in + parameter.fan_out));
      fill([&] { return limit * (2 * random.uniform() - 1); });
      break;
    }
    case Init::normal_002:
      fill([&] { return 0.02 * random.normal(); });
      break;
  }
  return values;
}

}  // namespace rehearse::exec
