#include "model/plan/verify/needs.h"

#include <algorithm>
#include <set>

#include "model/base/check.h"
#include "model/collective/steps.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool contains(const std::vector<ValueId>& list, ValueId value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void add_values(BufferKind kind, Access access, const std::vector<ValueId>& values,
                std::vector<Need>& needs) {
  for (const ValueId value : values)
    needs.push_back({.kind = kind, .access = access, .value = value});
}

void add_gradients(const Lowering& work, std::vector<Need>& needs) {
  std::vector<ValueId> read, written, both;
  for (const ValueId value : work.reads_gradients)
    (contains(work.writes_gradients, value) ? both : read).push_back(value);
  for (const ValueId value : work.writes_gradients) {
    if (!contains(work.reads_gradients, value)) written.push_back(value);
  }
  add_values(BufferKind::gradient, Access::read, read, needs);
  add_values(BufferKind::gradient, Access::write, written, needs);
  add_values(BufferKind::gradient, Access::update, both, needs);
}

void add_slabs(const Lowering& work, Pass pass, std::vector<Need>& needs) {
  const auto slab = [&](BufferKind kind, Access access, Bytes size) {
    if (size > Bytes{}) needs.push_back({.kind = kind, .access = access, .size = size});
  };
  const bool makes = pass == Pass::forward || pass == Pass::split_forward;
  const Access access = makes ? Access::write : Access::read;
  if (pass != Pass::backward_weight) slab(BufferKind::saved, access, work.saved);
  slab(BufferKind::kept, access, work.kept);
  if (pass == Pass::backward_input) slab(BufferKind::deferred, Access::write, work.deferred);
  if (pass == Pass::backward_weight) slab(BufferKind::deferred, Access::read, work.deferred);
  slab(BufferKind::scratch, Access::write, work.scratch);
}

// Whether the optimizer keeps the weights as they are before they are rounded.
bool has_master(const StateSizes& state) {
  return state.moment > state.parameter;
}

}  // namespace

std::string describe(const Need& need) {
  if (need.value)
    return fmt::format("the {} of value {}", to_string(need.kind), need.value->value());
  if (holds_range(need.kind)) {
    return fmt::format("{} elements {}..{} of class {}", to_string(need.kind), need.begin, need.end,
                       need.parameter_class->value());
  }
  if (need.parameter_class)
    return fmt::format("the {} of class {}", to_string(need.kind), need.parameter_class->value());
  if (need.kind == BufferKind::squares) return "a sum of squares";
  return fmt::format("a {} buffer of {} bytes", to_string(need.kind), need.size->bytes());
}

Needs::Needs(const Plan& plan, const Net& net, std::size_t program)
    : plan_(plan),
      program_(plan.programs[program]),
      net_(net),
      sizes_(element_sizes(plan.training)),
      state_(state_sizes(plan.training)),
      groups_(group_sizes(plan, program)) {
  for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
    std::int64_t element = 0;
    for (const ParameterId parameter : program_.parameter_classes[c].parameters) {
      const std::int64_t n = net_.parameters[parameter.index()].shape.elements();
      places_[parameter] = {ParameterClassId(c), element, element + n};
      element += n;
    }
  }
}

std::vector<Need> Needs::of(const Op& op) {
  switch (op.kind) {
    case OpKind::load_batch:
    case OpKind::send:
    case OpKind::receive:
      break;
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return of_pass(op);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return of_collective(op);
    case OpKind::accumulate:
      return of_accumulate(op);
    case OpKind::clear:
      return {{.kind = BufferKind::gradients,
               .access = Access::update,
               .parameter_class = clear_of(op).parameter_class}};
    case OpKind::sum_squares:
      return of_squares();
    case OpKind::optimizer_step:
      return of_update(optimize_of(op).parameter_class);
    case OpKind::outer_gradient:
      return of_outer_gradient(optimize_of(op).parameter_class);
    case OpKind::outer_step:
      return of_outer_step(optimize_of(op).parameter_class);
  }
  REHEARSE_UNREACHABLE("op that carries what it is given");
}

// ---- passes ------------------------------------------------------------------------------------

const std::vector<Need>& Needs::of_pass(const Op& op) {
  const Compute& compute = compute_of(op);
  const Pass pass = pass_of(program_, op);
  // The first micro-batch's gradients may go elsewhere than the others'.
  const MicroBatchId m = std::min(compute.micro_batch, MicroBatchId(1));
  const auto [known, is_new] = of_passes_.try_emplace({compute.begin, compute.end, pass, m});
  if (is_new) {
    known->second = of_work(
        lower(net_, compute.begin, compute.end, pass, plan_.micro_batch_samples, sizes_), pass, m);
  }
  return known->second;
}

std::vector<Need> Needs::of_work(const Lowering& work, Pass pass, MicroBatchId m) const {
  std::vector<Need> needs;
  add_values(BufferKind::value, Access::read, work.reads_values, needs);
  add_values(BufferKind::value, Access::write, work.writes_values, needs);
  add_gradients(work, needs);
  add_slabs(work, pass, needs);
  add_parameters(work, m, needs);
  return needs;
}

void Needs::add_parameters(const Lowering& work, MicroBatchId m, std::vector<Need>& needs) const {
  add_classes(
      parameters_read(net_, work),
      [](const ParameterClass& it) { return it.sharding < Sharding::parameters; },
      {.kind = BufferKind::parameters, .access = Access::read},
      {.kind = BufferKind::gathered, .access = Access::read}, needs);
  add_classes(
      parameters_differentiated(net_, work),
      [&](const ParameterClass& it) { return adds_to_flat(plan_.training, program_, it, m); },
      {.kind = BufferKind::gradients, .access = Access::update},
      {.kind = BufferKind::unreduced, .access = Access::update}, needs);
}

// Of a class that is flat its buffer, once; of others the range of each parameter.
template <class IsFlat>
void Needs::add_classes(const std::vector<ParameterId>& parameters, const IsFlat& is_flat,
                        Need flat, Need range, std::vector<Need>& needs) const {
  std::set<ParameterClassId> flat_classes;
  for (const ParameterId parameter : parameters) {
    const ParameterPlace& place = places_.at(parameter);
    const bool whole = is_flat(held(place.parameter_class));
    if (whole && !flat_classes.insert(place.parameter_class).second) continue;
    Need need = whole ? flat : range;
    need.parameter_class = place.parameter_class;
    if (!whole) need.begin = place.begin, need.end = place.end;
    needs.push_back(need);
  }
}

// ---- collectives -------------------------------------------------------------------------------

std::optional<std::int64_t> Needs::element_bytes(const Op& op) const {
  if (op.kind != OpKind::broadcast && !collective_of(op).parameter_class) return std::nullopt;
  const bool moves_weights = op.kind == OpKind::broadcast || op.kind == OpKind::all_gather;
  return moves_weights ? state_.parameter : state_.gradient;
}

std::vector<Need> Needs::of_collective(const Op& op) const {
  const Collective& detail = collective_of(op);
  std::vector<Need> needs;
  if (op.kind == OpKind::broadcast) {
    needs = of_broadcast(detail);
  } else if (detail.parameter_class) {
    needs = op.kind == OpKind::all_gather ? of_gather(detail) : of_reduction(op, detail);
  } else if (is_of_squares(program_, op)) {
    needs = {{.kind = BufferKind::squares, .access = Access::update}};
  } else {
    needs = of_exchange(op);
  }
  const Bytes room =
      Bytes::bytes(detail.element_bytes *
                   room_for(shape_of(op, groups_[detail.group]), detail.end - detail.begin));
  if (room > Bytes{})
    needs.push_back({.kind = BufferKind::communication, .access = Access::write, .size = room});
  return needs;
}

std::vector<Need> Needs::of_broadcast(const Collective& detail) const {
  return {{.kind = BufferKind::parameters,
           .access = held(*detail.parameter_class).is_held ? Access::read : Access::write,
           .parameter_class = detail.parameter_class}};
}

std::vector<Need> Needs::of_gather(const Collective& detail) const {
  const bool from_shards = held(*detail.parameter_class).sharding == Sharding::parameters;
  std::vector<Need> needs = {{.kind = BufferKind::parameters,
                              .access = from_shards ? Access::read : Access::update,
                              .parameter_class = detail.parameter_class}};
  if (from_shards) {
    needs.push_back({.kind = BufferKind::gathered,
                     .access = Access::write,
                     .parameter_class = detail.parameter_class,
                     .begin = detail.begin,
                     .end = detail.end,
                     .exactly = true});
  }
  return needs;
}

std::vector<Need> Needs::of_reduction(const Op& op, const Collective& detail) const {
  const bool into_shards = held(*detail.parameter_class).sharding >= Sharding::gradients;
  std::vector<Need> needs;
  if (into_shards) {
    needs.push_back({.kind = BufferKind::unreduced,
                     .access = Access::update,
                     .parameter_class = detail.parameter_class,
                     .begin = detail.begin,
                     .end = detail.end});
  }
  // The first micro-batch's writes the shard, the others add (check_meaning says which is first).
  const bool writes =
      into_shards && op.operands.size() > 1 && op.operands[1].access == Access::write;
  needs.push_back({.kind = BufferKind::gradients,
                   .access = writes ? Access::write : Access::update,
                   .parameter_class = detail.parameter_class});
  return needs;
}

// Sums or shares of a value or gradient in place, or its rows gathered or scattered.
std::vector<Need> Needs::of_exchange(const Op& op) const {
  const bool in_place = op.kind == OpKind::all_reduce || gathers_in_place(program_, op);
  const std::size_t carries = in_place ? 1 : 2;
  std::vector<Need> needs;
  for (std::size_t k = 0; k < std::min(carries, op.operands.size()); ++k) {
    const Buffer& buffer = program_.buffers[op.operands[k].buffer.index()];
    if (buffer.kind != BufferKind::value && buffer.kind != BufferKind::gradient) continue;
    const bool updates = in_place || op.kind == OpKind::reduce_scatter;
    const Access source = updates ? Access::update : Access::read;
    needs.push_back(
        {.kind = buffer.kind, .access = k == 0 ? source : Access::write, .value = buffer.value});
  }
  return needs;
}

// ---- gradients and weights ---------------------------------------------------------------------

// Which is which, and of which micro-batches: check_accumulations.
std::vector<Need> Needs::of_accumulate(const Op& op) const {
  const Accumulate& it = accumulate_of(op);
  const auto sum = [&](std::size_t k, Access access) {
    const bool flat = kind_of(op.operands[k]) == BufferKind::gradients;
    return Need{.kind = flat ? BufferKind::gradients : BufferKind::unreduced,
                .access = access,
                .parameter_class = it.parameter_class,
                .begin = it.begin,
                .end = it.end,
                .exactly = true};
  };
  return {sum(0, Access::update), sum(1, Access::read)};
}

std::vector<Need> Needs::of_squares() const {
  std::vector<Need> needs = {{.kind = BufferKind::squares, .access = Access::write}};
  for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
    if (!program_.parameter_classes[c].is_held) continue;
    needs.push_back({.kind = BufferKind::gradients,
                     .access = Access::read,
                     .parameter_class = ParameterClassId(c)});
  }
  return needs;
}

std::vector<Need> Needs::of_update(ParameterClassId c) const {
  std::vector<Need> needs = {
      {.kind = BufferKind::parameters, .access = Access::update, .parameter_class = c},
      {.kind = BufferKind::gradients, .access = Access::read, .parameter_class = c}};
  if (state_.optimizer > 0)
    needs.push_back(
        {.kind = BufferKind::optimizer_state, .access = Access::update, .parameter_class = c});
  if (plan_.training.optimizer.clip)
    needs.push_back({.kind = BufferKind::squares, .access = Access::read});
  return needs;
}

// Differences are those of the weights before they are rounded.
std::vector<Need> Needs::of_outer_gradient(ParameterClassId c) const {
  const BufferKind weights =
      has_master(state_) ? BufferKind::optimizer_state : BufferKind::parameters;
  std::vector<Need> needs = {
      {.kind = weights, .access = Access::read, .parameter_class = c},
      {.kind = BufferKind::gradients, .access = Access::write, .parameter_class = c}};
  if (plan_.outer)
    needs.push_back(
        {.kind = BufferKind::outer_state, .access = Access::read, .parameter_class = c});
  return needs;
}

// The optimizer's moments stay beside the master copy.
std::vector<Need> Needs::of_outer_step(ParameterClassId c) const {
  std::vector<Need> needs = {
      {.kind = BufferKind::parameters, .access = Access::write, .parameter_class = c},
      {.kind = BufferKind::gradients, .access = Access::read, .parameter_class = c}};
  if (has_master(state_))
    needs.push_back(
        {.kind = BufferKind::optimizer_state, .access = Access::update, .parameter_class = c});
  if (plan_.outer)
    needs.push_back(
        {.kind = BufferKind::outer_state, .access = Access::update, .parameter_class = c});
  return needs;
}

}  // namespace rehearse::verifier
