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
      device_(arena.device()),
      sizes_(state_sizes(plan.training)),
      has_master_(sizes_.moment > sizes_.parameter),
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
      flat.state = arrays_in(memory, held(*buffer.parameter_class));
    if (buffer.kind == BufferKind::outer_state) {
      flat.anchor = memory;
      if (arrays_of(*plan.outer) > 1)
        flat.outer_momentum = memory + held(*buffer.parameter_class).elements * sizes_.moment;
    }
  }
  for (std::size_t c = 0; c < flat_.size(); ++c)
    cut_parts(ParameterClassId(c));
}

OptimizerState Parameters::arrays_in(std::byte* memory, const ParameterClass& held) const {
  const std::int64_t elements =
      held.sharding == Sharding::none ? held.elements : shard_elements(held);
  const std::int64_t moments = moments_of(plan_.training.optimizer);
  const auto array = [&](std::int64_t k) { return memory + k * elements * sizes_.moment; };
  OptimizerState state;
  for (std::int64_t k = 0; k < moments; ++k)
    state.moments[static_cast<std::size_t>(k)] = array(k);
  if (has_master_) state.master = array(moments);
  return state;
}

std::array<std::span<std::byte>, ParameterState::kArrays> ParameterState::arrays() const {
  const auto array = [](void* memory, std::int64_t bytes) {
    return memory == nullptr
               ? std::span<std::byte>()
               : std::span(static_cast<std::byte*>(memory), static_cast<std::size_t>(bytes));
  };
  return {array(weights, weight_bytes),         array(state.moments[0], state_bytes),
          array(state.moments[1], state_bytes), array(state.master, state_bytes),
          array(outer.anchor, state_bytes),     array(outer.momentum, state_bytes)};
}

ParameterState Parameters::state_of(ParameterId id) const {
  const ParameterPlace& place = places_.at(id);
  const ParameterClass& its = held(place.parameter_class);
  REHEARSE_CHECK(its.sharding == Sharding::none, "parameter {} is sharded", id.value());
  const Flat& flat = flat_[place.parameter_class.index()];
  const auto at = [&](void* array, std::int64_t element) {
    return array == nullptr ? nullptr : static_cast<std::byte*>(array) + place.offset * element;
  };
  const auto kept = [&](void* array) { return at(array, sizes_.moment); };
  std::byte *weights = at(flat.weights, sizes_.parameter), *master = kept(flat.state.master);
  return {weights,
          {{kept(flat.state.moments[0]), kept(flat.state.moments[1])}, master},
          {weights, master, kept(flat.anchor), kept(flat.outer_momentum)},
          place.elements * sizes_.parameter,
          place.elements * sizes_.moment};
}

// All of a class, or a chunk of every bucket; nothing of what is only read.
std::vector<Parameters::Own> Parameters::own_ranges(ParameterClassId c) const {
  const ParameterClass& it = held(c);
  if (!it.is_held) return {};
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
  const auto kept = [&](void* array) {
    return at(array, sizes_.moment, Sharding::optimizer_state);
  };
  const OptimizerState& state = flat.state;
  Part part;
  part.weights = at(flat.weights, sizes_.parameter, Sharding::parameters);
  part.gradients = at(flat.gradients, sizes_.gradient, Sharding::gradients);
  part.state = {{kept(state.moments[0]), kept(state.moments[1])}, kept(state.master)};
  part.outer = {part.weights, part.state.master, kept(flat.anchor), kept(flat.outer_momentum)};
  part.elements = end - begin;
  part.decays = decays;
  return part;
}

std::vector<std::pair<const std::byte*, std::int64_t>> Parameters::squared(
    ParameterClassId c) const {
  const ParameterClass& it = held(c);
  std::vector<Own> ranges = own_ranges(c);
  const bool is_shared = it.group && !has_local_steps(plan_);
  if (is_shared && it.sharding == Sharding::none) {
    const Group& group = group_at(plan_, rank_, *it.group);
    const ElementRange chunk =
        chunk_of(0, it.elements, group.members.size(), member_number(group, rank_));
    ranges = {{chunk.begin, chunk.end, 0}};
  }
  std::vector<std::pair<const std::byte*, std::int64_t>> pieces;
  for (const Own& own : ranges) {
    const std::int64_t at = it.sharding >= Sharding::gradients ? own.shard : own.begin;
    for (const auto& [begin, end] : answered_for(c, own))
      pieces.emplace_back(flat_gradients(c) + (at + begin - own.begin) * sizes_.gradient,
                          end - begin);
  }
  return pieces;
}

// Of a range of a class's elements, those that tensor-parallel ranks hold alike are the first's.
std::vector<std::pair<std::int64_t, std::int64_t>> Parameters::answered_for(ParameterClassId c,
                                                                            const Own& own) const {
  if (plan_.ranks[rank_.index()].slice == 0) return {{own.begin, own.end}};
  std::vector<std::pair<std::int64_t, std::int64_t>> pieces;
  for (const ParameterId id : held(c).parameters) {
    const ParameterPlace& place = places_.at(id);
    const std::int64_t begin = std::max(own.begin, place.offset);
    const std::int64_t end = std::min(own.end, place.offset + place.elements);
    if (begin < end && net_.parameters[id.index()].spread != Spread::replicated)
      pieces.emplace_back(begin, end);
  }
  return pieces;
}

namespace {

// The initial values of a parameter, in the order of its elements; of a slice those that the whole
// has there.
class InitialValues {
 public:
  InitialValues(const Parameter& parameter, ParameterId id, std::uint64_t seed)
      : init_(parameter.init),
        slice_(parameter.slice),
        deviation_(std::sqrt(2.0 / static_cast<double>(parameter.fan_in))),
        limit_(std::sqrt(6.0 / static_cast<double>(parameter.fan_in + parameter.fan_out))),
        random_(seed, parameter.drawn_as.value_or(id).value()) {}

  // What is padded to cut it into equal slices is 0.
  double next() {
    if (!slice_) return draw();
    while (number_ < slice_->whole.elements()) {
      const double value = draw();
      if (slice_->contains(number_++)) return value;
    }
    return 0;
  }

 private:
  double draw() {
    switch (init_) {
      case Init::zeros:
        return 0;
      case Init::ones:
        return 1;
      case Init::he_normal:
        return deviation_ * random_.normal();
      case Init::glorot_uniform:
        return limit_ * (2 * random_.uniform() - 1);
      case Init::normal_002:
        return 0.02 * random_.normal();
    }
    REHEARSE_UNREACHABLE("initialisation");
  }

  Init init_;
  const std::optional<ParameterSlice>& slice_;
  std::int64_t number_ = 0;  // elements of the whole that were drawn
  double deviation_, limit_;
  Random random_;
};

// Drawn so many at a time: tables of tokens are large.
constexpr std::int64_t kDrawn = 1 << 16;

}  // namespace

void Parameters::initialize(Backend& backend, std::uint64_t seed) const {
  for (const auto& [id, place] : places_) {
    InitialValues values(net_.parameters[id.index()], id, seed);
    for (std::int64_t begin = 0; begin < place.elements; begin += kDrawn) {
      std::vector<double> drawn(static_cast<std::size_t>(std::min(kDrawn, place.elements - begin)));
      std::generate(drawn.begin(), drawn.end(), [&] {
        const double value = values.next();
        return has_master_ ? static_cast<double>(static_cast<float>(value)) : value;
      });
      keep(backend, place, begin, drawn);
    }
  }
  for (std::size_t c = 0; c < flat_.size(); ++c)
    clear(flat_[c].outer_momentum, ParameterClassId(c));
  reset_moments();
}

void Parameters::reset_moments() const {
  for (std::size_t c = 0; c < flat_.size(); ++c) {
    for (void* moment : flat_[c].state.moments)
      clear(moment, ParameterClassId(c));
  }
  device_.wait();
}

// Where there is such an array of the optimizers: also of what is parked, which nobody updates
// before another holds it.
void Parameters::clear(void* array, ParameterClassId c) const {
  if (array == nullptr) return;
  const ParameterClass& it = held(c);
  const std::int64_t elements = it.sharding == Sharding::none ? it.elements : shard_elements(it);
  device_.fill(array, std::byte{}, static_cast<std::size_t>(elements * sizes_.moment));
}

void Parameters::keep(Backend& backend, const ParameterPlace& place, std::int64_t first,
                      const std::vector<double>& values) const {
  const ParameterClassId c = place.parameter_class;
  keep_held(place, first, values, Sharding::parameters, [&](std::int64_t at, const auto& held) {
    backend.store(flat_weights(c) + at * sizes_.parameter, held);
  });
  const Flat& flat = flat_[c.index()];
  for (std::byte* array : {static_cast<std::byte*>(flat.state.master), flat.anchor}) {
    if (array == nullptr) continue;
    keep_held(place, first, values, Sharding::optimizer_state,
              [&](std::int64_t at, const auto& held) {
                backend.store_statistics(array + at * sizes_.moment, held);
              });
  }
}

// Of elements from `first` of a parameter, those that this rank has of an array that is sharded
// from `level` on: store(their place in it, values).
template <class Store>
void Parameters::keep_held(const ParameterPlace& place, std::int64_t first,
                           const std::vector<double>& values, Sharding level,
                           const Store& store) const {
  const ParameterClassId c = place.parameter_class;
  const bool sharded = held(c).sharding >= level;
  const std::vector<Own> ranges =
      sharded ? own_ranges(c) : std::vector<Own>{{0, held(c).elements, 0}};
  const std::int64_t offset = place.offset + first;
  for (const Own& own : ranges) {
    const std::int64_t begin = std::max(own.begin, offset);
    const std::int64_t end = std::min(own.end, offset + static_cast<std::int64_t>(values.size()));
    if (begin >= end) continue;
    store(own.shard + begin - own.begin,
          std::vector<double>(values.begin() + (begin - offset), values.begin() + (end - offset)));
  }
}

}  // namespace rehearse::exec
