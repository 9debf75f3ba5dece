#include <algorithm>
#include <map>
#include <set>

#include "model/collective/steps.h"
#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool reads(Access access) {
  return access != Access::write;
}
bool writes(Access access) {
  return access != Access::read;
}

struct BufferUse {
  OpId op;
  Operand operand;
};

// Allocated by the first user, freed by the last, and no two users race.
class Lifetimes {
 public:
  Lifetimes(Report& report, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        before_(program_) {}

  void run() {
    std::vector<std::vector<BufferUse>> uses(program_.buffers.size());
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      std::set<BufferId> seen;
      for (const Operand& operand : program_.ops[op].operands) {
        if (!seen.insert(operand.buffer).second) {
          report_.add({number_, OpId(op)},
                      fmt::format("it names buffer {} twice", operand.buffer.value()));
        }
        uses[operand.buffer.index()].push_back({OpId(op), operand});
      }
    }
    for (std::size_t buffer = 0; buffer < uses.size(); ++buffer) {
      if (is_persistent(program_.buffers[buffer].kind)) {
        check_persistent(buffer, uses[buffer]);
      } else if (!uses[buffer].empty()) {
        check_transient(buffer, uses[buffer]);
      }
    }
  }

 private:
  void check_persistent(std::size_t buffer, const std::vector<BufferUse>& uses) {
    for (const BufferUse& use : uses) {
      if (!use.operand.allocates && !use.operand.frees) continue;
      report_.add({number_, use.op}, fmt::format("buffer {} lives for the whole run", buffer));
    }
  }

  void check_transient(std::size_t buffer, const std::vector<BufferUse>& uses) {
    const auto allocations = std::count_if(uses.begin(), uses.end(),
                                           [](const BufferUse& u) { return u.operand.allocates; });
    const auto frees =
        std::count_if(uses.begin(), uses.end(), [](const BufferUse& u) { return u.operand.frees; });
    if (allocations != 1 || !uses.front().operand.allocates) {
      return report_.add(
          {number_, uses.front().op},
          fmt::format("buffer {} is used before it is allocated, or allocated {} times", buffer,
                      allocations));
    }
    if (frees != 1 || !uses.back().operand.frees) {
      return report_.add(
          {number_, uses.back().op},
          fmt::format("buffer {} is not freed by its last user, or freed {} times", buffer, frees));
    }
    if (reads(uses.front().operand.access)) {
      return report_.add({number_, uses.front().op},
                         fmt::format("it reads buffer {}, which nobody has written", buffer));
    }
    for (std::size_t later = 1; later < uses.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier)
        check_order(buffer, uses[earlier], uses[later]);
    }
    if (program_.buffers[buffer].kind == BufferKind::gradient) check_sum(uses);
  }

  // A gradient is a sum over the value's consumers: complete before anybody takes it, and taken by
  // somebody.
  void check_sum(const std::vector<BufferUse>& uses) {
    const auto takes = [&](const BufferUse& use) {
      return !writes(use.operand.access) ||
             program_.ops[use.op.index()].kind == OpKind::reduce_scatter;
    };
    const auto taker = std::find_if(uses.begin(), uses.end(), takes);
    if (taker == uses.end())
      return report_.add({number_, uses.back().op}, "nobody reads the gradient that it adds to");
    const auto late =
        std::find_if(taker + 1, uses.end(), [&](const BufferUse& use) { return !takes(use); });
    if (late == uses.end()) return;
    report_.add({number_, late->op}, "it adds to a gradient that has been read before",
                {report_.note({number_, taker->op}, "by this op")});
  }

  void check_order(std::size_t buffer, const BufferUse& earlier, const BufferUse& later) {
    const bool shares =
        !writes(earlier.operand.access) && !writes(later.operand.access) && !later.operand.frees;
    if (shares || before_(earlier.op, later.op)) return;
    report_.add({number_, later.op}, fmt::format("it uses buffer {} without waiting", buffer),
                {report_.note({number_, earlier.op}, "for this op")});
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const HappensBefore before_;
};

// What an op has to do with a buffer that its work needs.
struct Need {
  BufferKind kind = BufferKind::scratch;
  Access access = Access::read;
  std::optional<ValueId> value = std::nullopt;
  std::optional<ParameterClassId> parameter_class = std::nullopt;
  std::optional<Bytes> size = std::nullopt;  // of slabs and rooms
  std::int64_t begin = 0, end = 0;           // elements it must hold
  bool exactly = false;                      // and no others
};

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

// The operands are those that the op's work needs, with the right sizes, and no others.
class Operands {
 public:
  Operands(Report& report, const Net& full, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        net_(net_of(report.plan, full, program_)),
        sizes_(element_sizes(report.plan.training)),
        state_(state_sizes(report.plan.training)),
        groups_(group_sizes(report.plan, number)) {
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      std::int64_t element = 0;
      for (const ParameterId parameter : program_.parameter_classes[c].parameters) {
        const std::int64_t n = net_.parameters[parameter.index()].shape.elements();
        places_[parameter] = {ParameterClassId(c), element, element + n};
        element += n;
      }
    }
  }

  void run() {
    check_buffer_sizes();
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      at_ = {number_, OpId(op)};
      check(program_.ops[op]);
    }
  }

 private:
  struct ParameterPlace {
    ParameterClassId parameter_class;
    std::int64_t begin, end;
  };

  const ParameterClass& held(ParameterClassId c) const {
    return program_.parameter_classes[c.index()];
  }

  // ---- sizes -----------------------------------------------------------------------------------

  void check_buffer_sizes() {
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const std::optional<Bytes> right = size_of_buffer(program_.buffers[b]);
      if (!right || *right == program_.buffers[b].size) continue;
      report_.add_program(number_, fmt::format("buffer {} has {} bytes, its content {}", b,
                                               program_.buffers[b].size.bytes(), right->bytes()));
    }
  }

  // All of a class, or a holder's shard of it where this much is sharded.
  Bytes flat(const Buffer& buffer, std::int64_t element, Sharding level) const {
    const ParameterClass& c = held(*buffer.parameter_class);
    const std::int64_t elements = c.sharding >= level ? shard_elements(c) : c.elements;
    return Bytes::bytes(elements * element);
  }

  std::optional<Bytes> size_of_buffer(const Buffer& buffer) const {
    switch (buffer.kind) {
      case BufferKind::parameters:
        return flat(buffer, state_.parameter, Sharding::parameters);
      case BufferKind::gradients:
        return flat(buffer, state_.gradient, Sharding::gradients);
      case BufferKind::optimizer_state:
        return flat(buffer, state_.optimizer, Sharding::optimizer_state);
      case BufferKind::outer_state:
        return flat(buffer, outer_state_bytes(report_.plan.training, report_.plan.outer),
                    Sharding::optimizer_state);
      case BufferKind::gathered:
        return Bytes::bytes((buffer.end - buffer.begin) * state_.parameter);
      case BufferKind::unreduced:
        return Bytes::bytes((buffer.end - buffer.begin) * state_.gradient);
      case BufferKind::value:
      case BufferKind::gradient:
        return size_of(net_, *buffer.value, report_.plan.micro_batch_samples, sizes_);
      case BufferKind::squares:
        return Bytes::bytes(square_numbers(report_.plan.training) *
                            static_cast<std::int64_t>(sizeof(double)));
      case BufferKind::saved:
      case BufferKind::kept:
      case BufferKind::deferred:
      case BufferKind::scratch:
      case BufferKind::communication:
        return std::nullopt;
    }
    REHEARSE_UNREACHABLE("buffer kind");
  }

  // ---- needs -----------------------------------------------------------------------------------

  void check(const Op& op) {
    switch (op.kind) {
      case OpKind::load_batch:
        for (const Operand& operand : op.operands)
          check_loaded(operand);
        return;
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute:
        return compare(op, pass_needs(op));
      case OpKind::send:
      case OpKind::receive:
        return check_transfer(op);
      case OpKind::all_reduce:
      case OpKind::reduce_scatter:
      case OpKind::all_gather:
      case OpKind::broadcast:
        return compare(op, collective_needs(op));
      case OpKind::accumulate:
        return compare(op, accumulate_needs(op));
      case OpKind::clear:
        return compare(op, {{.kind = BufferKind::gradients,
                             .access = Access::update,
                             .parameter_class = clear_of(op).parameter_class}});
      case OpKind::sum_squares:
        return compare(op, squares_needs());
      case OpKind::optimizer_step:
        return compare(op, update_needs(op));
      case OpKind::outer_gradient:
        return compare(op, outer_gradient_needs(op));
      case OpKind::outer_step:
        return compare(op, outer_step_needs(op));
    }
  }

  bool serves(const Operand& operand, const Need& need) const {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    // Whoever is first to add to a micro-batch's gradients writes them.
    const bool begins = need.kind == BufferKind::unreduced && operand.allocates;
    if (buffer.kind != need.kind || operand.access != (begins ? Access::write : need.access))
      return false;
    if (buffer.value != need.value && need.value) return false;
    if (need.parameter_class && buffer.parameter_class != need.parameter_class) return false;
    if (holds_range(need.kind)) {
      if (buffer.begin > need.begin || buffer.end < need.end) return false;
      if (need.exactly && (buffer.begin < need.begin || buffer.end > need.end)) return false;
    }
    return !need.size || buffer.size == *need.size;
  }

  // Every need has its operand, and every operand is there for a need.
  void compare(const Op& op, const std::vector<Need>& needs) {
    std::vector<bool> wanted(op.operands.size(), false);
    for (const Need& need : needs) {
      bool served = false;
      for (std::size_t k = 0; k < op.operands.size(); ++k) {
        if (!serves(op.operands[k], need)) continue;
        // Parameters of one bucket are needed one by one; whatever else is there once.
        if (wanted[k] && !holds_range(need.kind)) continue;
        wanted[k] = served = true;
        break;
      }
      if (!served)
        report_.add(at_, fmt::format("it needs to {} {}", to_string(need.access), describe(need)));
    }
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (wanted[k]) continue;
      report_.add(at_,
                  fmt::format("it has no reason to {} buffer {}", to_string(op.operands[k].access),
                              op.operands[k].buffer.value()));
    }
  }

  const std::vector<Need>& pass_needs(const Op& op) {
    const Compute& compute = compute_of(op);
    const Pass pass = pass_of(program_, op);
    // The first micro-batch's gradients may go elsewhere than the others'.
    const MicroBatchId m = std::min(compute.micro_batch, MicroBatchId(1));
    const auto [known, is_new] = needs_.try_emplace({compute.begin, compute.end, pass, m});
    if (is_new) {
      known->second = needs_of(
          lower(net_, compute.begin, compute.end, pass, report_.plan.micro_batch_samples, sizes_),
          pass, m);
    }
    return known->second;
  }

  std::vector<Need> needs_of(const Lowering& work, Pass pass, MicroBatchId m) const {
    std::vector<Need> needs;
    const auto values = [&](BufferKind kind, Access access, const std::vector<ValueId>& list) {
      for (const ValueId v : list)
        needs.push_back({.kind = kind, .access = access, .value = v});
    };
    values(BufferKind::value, Access::read, work.reads_values);
    values(BufferKind::value, Access::write, work.writes_values);
    std::vector<ValueId> read, written, both;
    for (const ValueId v : work.reads_gradients)
      (contains(work.writes_gradients, v) ? both : read).push_back(v);
    for (const ValueId v : work.writes_gradients) {
      if (!contains(work.reads_gradients, v)) written.push_back(v);
    }
    values(BufferKind::gradient, Access::read, read);
    values(BufferKind::gradient, Access::write, written);
    values(BufferKind::gradient, Access::update, both);
    add_slabs(work, pass, needs);
    add_parameters(work, m, needs);
    return needs;
  }

  static bool contains(const std::vector<ValueId>& list, ValueId value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  }

  static void add_slabs(const Lowering& work, Pass pass, std::vector<Need>& needs) {
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

  void add_parameters(const Lowering& work, MicroBatchId m, std::vector<Need>& needs) const {
    const auto flat_or_range = [&](const std::vector<ParameterId>& parameters, const auto& is_flat,
                                   BufferKind flat_kind, BufferKind range_kind, Access access) {
      std::set<ParameterClassId> flat_classes;
      for (const ParameterId parameter : parameters) {
        const ParameterPlace& place = places_.at(parameter);
        if (is_flat(held(place.parameter_class))) {
          if (flat_classes.insert(place.parameter_class).second)
            needs.push_back(
                {.kind = flat_kind, .access = access, .parameter_class = place.parameter_class});
        } else {
          needs.push_back({.kind = range_kind,
                           .access = access,
                           .parameter_class = place.parameter_class,
                           .begin = place.begin,
                           .end = place.end});
        }
      }
    };
    flat_or_range(
        parameters_read(net_, work),
        [](const ParameterClass& it) { return it.sharding < Sharding::parameters; },
        BufferKind::parameters, BufferKind::gathered, Access::read);
    flat_or_range(
        parameters_differentiated(net_, work),
        [&](const ParameterClass& it) {
          return adds_to_flat(report_.plan.training, program_, it, m);
        },
        BufferKind::gradients, BufferKind::unreduced, Access::update);
  }

  void check_loaded(const Operand& operand) {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const bool loaded = operand.access == Access::write && buffer.kind == BufferKind::value &&
                        !net_.values[buffer.value->index()].producer;
    if (!loaded)
      report_.add(at_,
                  fmt::format("buffer {} is not filled from the data set", operand.buffer.value()));
  }

  void check_transfer(const Op& op) {
    const Operand& operand = op.operands.front();
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const Access access = op.kind == OpKind::send ? Access::read : Access::write;
    const bool carried = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    if (operand.access != access || !carried || op.operands.size() != 1) {
      report_.add(at_, fmt::format("it has to {} a value or a gradient", to_string(access)));
    }
    if (op.kind == OpKind::receive && !operand.allocates)
      report_.add(at_, fmt::format("it overwrites buffer {}", operand.buffer.value()));
    if (buffer.size == transfer_of(op).bytes) return;
    report_.add(at_, fmt::format("it moves {} bytes of a buffer of {}",
                                 transfer_of(op).bytes.bytes(), buffer.size.bytes()));
  }

  std::vector<Need> collective_needs(const Op& op) {
    const Collective& detail = collective_of(op);
    std::vector<Need> needs;
    const auto element = [&](std::int64_t bytes) {
      if (detail.element_bytes != bytes)
        report_.add(at_,
                    fmt::format("its elements have {} bytes, not {}", bytes, detail.element_bytes));
    };
    if (op.kind == OpKind::broadcast) {
      element(state_.parameter);
      needs.push_back(
          {.kind = BufferKind::parameters,
           .access = held(*detail.parameter_class).is_held ? Access::read : Access::write,
           .parameter_class = detail.parameter_class});
    } else if (detail.parameter_class && op.kind == OpKind::all_gather) {
      element(state_.parameter);
      gather_needs(detail, needs);
    } else if (detail.parameter_class) {
      element(state_.gradient);
      reduction_needs(op, detail, needs);
    } else if (is_of_squares(program_, op)) {
      needs.push_back({.kind = BufferKind::squares, .access = Access::update});
    } else {
      value_needs(op, needs);
    }
    const Bytes room =
        Bytes::bytes(detail.element_bytes *
                     room_for(shape_of(op, groups_[detail.group]), detail.end - detail.begin));
    if (room > Bytes{})
      needs.push_back({.kind = BufferKind::communication, .access = Access::write, .size = room});
    return needs;
  }

  void gather_needs(const Collective& detail, std::vector<Need>& needs) const {
    const bool from_shards = held(*detail.parameter_class).sharding == Sharding::parameters;
    needs.push_back({.kind = BufferKind::parameters,
                     .access = from_shards ? Access::read : Access::update,
                     .parameter_class = detail.parameter_class});
    if (!from_shards) return;
    needs.push_back({.kind = BufferKind::gathered,
                     .access = Access::write,
                     .parameter_class = detail.parameter_class,
                     .begin = detail.begin,
                     .end = detail.end,
                     .exactly = true});
  }

  void reduction_needs(const Op& op, const Collective& detail, std::vector<Need>& needs) const {
    const bool into_shards = held(*detail.parameter_class).sharding >= Sharding::gradients;
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
  }

  // Sums of a value or gradient in place, or its rows gathered or scattered.
  void value_needs(const Op& op, std::vector<Need>& needs) {
    const auto carried = [&](std::size_t k) {
      if (k >= op.operands.size()) return;
      const Operand& operand = op.operands[k];
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (buffer.kind != BufferKind::value && buffer.kind != BufferKind::gradient) return;
      const Access access =
          op.kind == OpKind::all_reduce || (op.kind == OpKind::reduce_scatter && k == 0)
              ? Access::update
          : k == 0 ? Access::read
                   : Access::write;
      needs.push_back({.kind = buffer.kind, .access = access, .value = buffer.value});
    };
    carried(0);
    if (op.kind != OpKind::all_reduce) carried(1);
  }

  // Which is which, and of which micro-batches: check_accumulations.
  std::vector<Need> accumulate_needs(const Op& op) const {
    const Accumulate& it = accumulate_of(op);
    const auto sum = [&](std::size_t k, Access access) {
      const bool flat =
          program_.buffers[op.operands[k].buffer.index()].kind == BufferKind::gradients;
      return Need{.kind = flat ? BufferKind::gradients : BufferKind::unreduced,
                  .access = access,
                  .parameter_class = it.parameter_class,
                  .begin = it.begin,
                  .end = it.end,
                  .exactly = true};
    };
    return {sum(0, Access::update), sum(1, Access::read)};
  }

  std::vector<Need> squares_needs() const {
    std::vector<Need> needs = {{.kind = BufferKind::squares, .access = Access::write}};
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      if (!program_.parameter_classes[c].is_held) continue;
      needs.push_back({.kind = BufferKind::gradients,
                       .access = Access::read,
                       .parameter_class = ParameterClassId(c)});
    }
    return needs;
  }

  std::vector<Need> update_needs(const Op& op) const {
    const ParameterClassId c = optimize_of(op).parameter_class;
    std::vector<Need> needs = {
        {.kind = BufferKind::parameters, .access = Access::update, .parameter_class = c},
        {.kind = BufferKind::gradients, .access = Access::read, .parameter_class = c}};
    if (state_.optimizer > 0)
      needs.push_back(
          {.kind = BufferKind::optimizer_state, .access = Access::update, .parameter_class = c});
    if (report_.plan.training.optimizer.clip)
      needs.push_back({.kind = BufferKind::squares, .access = Access::read});
    return needs;
  }

  bool has_master() const { return state_.moment > state_.parameter; }

  // Differences are those of the weights before they are rounded.
  std::vector<Need> outer_gradient_needs(const Op& op) const {
    const ParameterClassId c = optimize_of(op).parameter_class;
    const BufferKind weights = has_master() ? BufferKind::optimizer_state : BufferKind::parameters;
    std::vector<Need> needs = {
        {.kind = weights, .access = Access::read, .parameter_class = c},
        {.kind = BufferKind::gradients, .access = Access::write, .parameter_class = c}};
    if (report_.plan.outer)
      needs.push_back(
          {.kind = BufferKind::outer_state, .access = Access::read, .parameter_class = c});
    return needs;
  }

  // The optimizer's moments stay beside the master copy.
  std::vector<Need> outer_step_needs(const Op& op) const {
    const ParameterClassId c = optimize_of(op).parameter_class;
    std::vector<Need> needs = {
        {.kind = BufferKind::parameters, .access = Access::write, .parameter_class = c},
        {.kind = BufferKind::gradients, .access = Access::read, .parameter_class = c}};
    if (has_master())
      needs.push_back(
          {.kind = BufferKind::optimizer_state, .access = Access::update, .parameter_class = c});
    if (report_.plan.outer)
      needs.push_back(
          {.kind = BufferKind::outer_state, .access = Access::update, .parameter_class = c});
    return needs;
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const Net net_;
  const ElementSizes sizes_;
  const StateSizes state_;
  const std::vector<std::size_t> groups_;  // members, by slot
  std::map<ParameterId, ParameterPlace> places_;
  std::map<std::tuple<SegmentId, SegmentId, Pass, MicroBatchId>, std::vector<Need>> needs_;
  At at_;
};

}  // namespace

void check_buffers(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    Lifetimes(report, p).run();
    if (report.ok()) Operands(report, net, p).run();
  }
}

}  // namespace rehearse::verifier
