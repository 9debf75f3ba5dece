#include <algorithm>
#include <map>
#include <set>

#include "model/plan/own_net.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool writes(Access access) {
  return access != Access::read;
}

bool is_exchange(const RankProgram& program, const Op& op) {
  return is_collective(op.kind) && !collective_of(op).parameter_class &&
         !is_of_squares(program, op);
}

}  // namespace

bool gathers_in_place(const RankProgram& program, const Op& op) {
  if (op.kind != OpKind::all_gather || collective_of(op).parameter_class) return false;
  return std::count_if(op.operands.begin(), op.operands.end(), [&](const Operand& operand) {
           return program.buffers[operand.buffer.index()].value.has_value();
         }) == 1;
}

namespace {

// What tensor-parallel ranks exchange about values: every sum once, between its terms and whoever
// reads it; every row exchange where the network has one; every share that was received gathered
// with the others before it is used.
class Exchanges {
 public:
  Exchanges(Report& report, const Net& full, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        own_(report.plan, full, program_),
        net_(*own_),
        sizes_(element_sizes(report.plan.training)),
        micro_batches_(micro_batch_of_buffers(program_)) {}

  void run() {
    std::vector<std::vector<Use>> uses(program_.buffers.size());
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      if (is_exchange(program_, program_.ops[op])) check_whole(OpId(op));
      for (const Operand& operand : program_.ops[op].operands)
        uses[operand.buffer.index()].push_back({OpId(op), operand.access});
    }
    for (std::size_t b = 0; b < uses.size(); ++b) {
      const Buffer& buffer = program_.buffers[b];
      if (!buffer.value || uses[b].empty()) continue;
      const Value& value = net_.values[buffer.value->index()];
      const Exchange sums =
          buffer.kind == BufferKind::value ? Exchange::sum : Exchange::sum_gradient;
      check_sums(uses[b], value.exchange == sums);
      check_shares(buffer, uses[b]);
      check_rows(buffer, uses[b]);
    }
    check_row_passes();
  }

 private:
  struct Use {
    OpId op;
    Access access;
  };

  At at(OpId op) const { return {number_, op}; }
  OpKind kind(OpId op) const { return program_.ops[op.index()].kind; }

  // All of a value takes part, and means are nobody's.
  void check_whole(OpId id) {
    const Op& op = program_.ops[id.index()];
    const Collective& detail = collective_of(op);
    if (detail.divisor != 1)
      report_.add(at(id), fmt::format("it divides by {} what is no mean", detail.divisor));
    Bytes whole;
    std::optional<MicroBatchId> first;
    std::int64_t element = sizes_.activation_bytes;
    for (const Operand& operand : op.operands) {
      const Buffer& buffer = program_.buffers[operand.buffer.index()];
      if (!buffer.value) continue;
      const auto micro_batch = micro_batches_[operand.buffer.index()];
      if (first && micro_batch != first)
        report_.add(at(id), "it exchanges what is of two micro-batches");
      first = micro_batch;
      whole =
          std::max(whole, size_of(net_, *buffer.value, report_.plan.micro_batch_samples, sizes_));
      if (*buffer.value == net_.loss) element = sizes_.statistic_bytes;
    }
    if (detail.element_bytes == element && detail.begin == 0 &&
        Bytes::bytes(detail.end * element) == whole)
      return;
    report_.add(at(id), fmt::format("its value has elements 0..{} of {} bytes",
                                    whole.bytes() / element, element));
  }

  // Terms first, then their sum, then those who read it. What another stage has sent is summed.
  void check_sums(const std::vector<Use>& uses, bool is_sum) {
    const bool received = kind(uses.front().op) == OpKind::receive;
    std::size_t sums = 0;
    bool read = false;
    for (const Use& use : uses) {
      if (kind(use.op) == OpKind::all_reduce) {
        ++sums;
        if (!is_sum || read || received || sums > 1)
          report_.add(at(use.op), !is_sum                ? "it sums what is no sum"
                                  : sums > 1 || received ? "it sums what is summed already"
                                                         : "it sums what has been read before");
        continue;
      }
      const bool adds = writes(use.access) && is_pass(kind(use.op));
      if (is_sum && adds && sums > 0)
        report_.add(at(use.op), "it adds a term to what is summed already");
      read = read || !writes(use.access);
    }
    if (is_sum && !received && sums == 0)
      report_.add(at(uses.front().op), "what it has a term of is never summed");
  }

  void check_shares(const Buffer& buffer, const std::vector<Use>& uses) {
    const Op& maker = program_.ops[uses.front().op.index()];
    bool is_whole = maker.kind != OpKind::receive || transfer_of(maker).bytes >= buffer.size;
    for (std::size_t u = 1; u < uses.size(); ++u) {
      if (!gathers_in_place(program_, program_.ops[uses[u].op.index()])) {
        if (!is_whole)
          return report_.add(at(uses[u].op), "it uses a value of which it has a share");
        continue;
      }
      if (is_whole) report_.add(at(uses[u].op), "it gathers what is whole already");
      is_whole = true;
    }
  }

  // The row exchange that a buffer's content comes from, if it does: a value's from its producer,
  // a gradient's from the exchange that its value goes into.
  std::optional<LayerId> source_of(const Buffer& buffer) const {
    for (const Stage& stage : program_.stages) {
      for (std::size_t s = stage.begin.index(); s < stage.end.index(); ++s) {
        const auto layer = row_exchange(net_, SegmentId(s));
        if (!layer) continue;
        const Layer& it = net_.layers[layer->index()];
        if ((buffer.kind == BufferKind::value ? it.output : it.inputs[0]) == *buffer.value)
          return layer;
      }
    }
    return std::nullopt;
  }

  void check_rows(const Buffer& buffer, const std::vector<Use>& uses) {
    const auto [entry, is_new] = sources_.try_emplace({buffer.kind, *buffer.value});
    if (is_new) entry->second = source_of(buffer);
    if (!entry->second) return;
    const Layer& layer = net_.layers[entry->second->index()];
    const bool gathers =
        std::holds_alternative<GatherRows>(layer.spec) == (buffer.kind == BufferKind::value);
    const OpKind needed = gathers ? OpKind::all_gather : OpKind::reduce_scatter;
    const OpId maker = uses.front().op;
    const Op& op = program_.ops[maker.index()];
    const ValueId other = buffer.kind == BufferKind::value ? layer.inputs[0] : layer.output;
    const bool right = op.kind == needed && op.operands.size() > 1 &&
                       program_.buffers[op.operands[0].buffer.index()].value == other;
    if (!right)
      report_.add(at(maker), fmt::format("the {} of value {} comes from an {} of value {}",
                                         to_string(buffer.kind), buffer.value->value(),
                                         to_string(needed), other.value()));
  }

  // No pass runs over a row exchange.
  void check_row_passes() {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      if (!is_pass(program_.ops[id].kind)) continue;
      const Compute& compute = compute_of(program_.ops[id]);
      for (std::size_t s = compute.begin.index(); s < compute.end.index(); ++s) {
        if (row_exchange(net_, SegmentId(s)))
          report_.add(at(OpId(id)), fmt::format("segment {} exchanges rows and is no pass", s));
      }
    }
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const OwnNet own_;
  const Net& net_;
  const ElementSizes sizes_;
  const std::vector<std::optional<MicroBatchId>> micro_batches_;  // by buffer
  std::map<std::pair<BufferKind, ValueId>, std::optional<LayerId>> sources_;
};

// The group slots of a program's exchanges.
std::set<std::size_t> exchange_slots(const RankProgram& program) {
  std::set<std::size_t> slots;
  for (const Op& op : program.ops) {
    if (is_exchange(program, op)) slots.insert(collective_of(op).group);
  }
  return slots;
}

// Whoever exchanges runs one program on the same samples: the ranks of all slices, in their order,
// which is that of the rows.
bool are_slices(const Plan& plan, RankId rank, const Group& group) {
  const RankBinding& self = plan.ranks[rank.index()];
  if (static_cast<std::int64_t>(group.members.size()) != plan.mesh.tensor) return false;
  for (std::size_t m = 0; m < group.members.size(); ++m) {
    const RankBinding& other = plan.ranks[group.members[m].index()];
    if (other.program != self.program || other.first_micro_batch != self.first_micro_batch ||
        other.slice != static_cast<std::int64_t>(m))
      return false;
  }
  return true;
}

void check_groups(Report& report) {
  const Plan& plan = report.plan;
  std::vector<std::set<std::size_t>> slots;
  for (const RankProgram& program : plan.programs)
    slots.push_back(exchange_slots(program));
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    for (const std::size_t slot : slots[plan.ranks[r].program.index()]) {
      const GroupId group = plan.ranks[r].groups[slot];
      if (are_slices(plan, RankId(r), plan.groups[group.index()])) continue;
      report.add_rank(r, fmt::format("it exchanges values over group {}, which is not the slices "
                                     "of its part of the network in their order",
                                     group.value()));
      return;  // the others are wrong likewise
    }
  }
}

}  // namespace

void check_exchanges(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p)
    Exchanges(report, net, p).run();
  check_groups(report);
}

}  // namespace rehearse::verifier
