#include <algorithm>
#include <map>
#include <set>

#include "model/plan/happens_before.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// One program: passes over its part of the network, then reductions, then updates.
class ProgramMeaning {
 public:
  ProgramMeaning(Report& report, const Net& full, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        net_(net_of(report.plan, full, program_)),
        before_(program_) {}

  void run() {
    check_passes();
    check_batches();
    check_classes();
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      check_class(ParameterClassId(c));
  }

 private:
  struct Passes {
    std::optional<OpId> forward, backward;
  };

  // Every segment with layers once forward, then once backward, per micro-batch.
  void check_passes() {
    std::map<std::pair<SegmentId, MicroBatchId>, Passes> passes;
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      const OpKind kind = program_.ops[op].kind;
      if (kind != OpKind::forward && kind != OpKind::backward) continue;
      const Compute& compute = compute_of(program_.ops[op]);
      for (std::size_t s = compute.begin.index(); s < compute.end.index(); ++s) {
        Passes& known = passes[{SegmentId(s), compute.micro_batch}];
        auto& slot = kind == OpKind::forward ? known.forward : known.backward;
        if (slot) {
          report_.add(at(OpId(op)), fmt::format("segment {} is done twice", s),
                      {report_.note(at(*slot), "first by this op")});
        }
        slot = OpId(op);
      }
    }
    for (std::size_t s = program_.begin.index(); s < program_.end.index(); ++s) {
      if (net_.segments[s].layers.empty()) continue;
      for (std::int64_t m = 0; m < program_.micro_batches; ++m) {
        check_segment(SegmentId(s), MicroBatchId(m), passes[{SegmentId(s), MicroBatchId(m)}]);
      }
    }
  }

  void check_segment(SegmentId segment, MicroBatchId micro_batch, const Passes& passes) {
    if (!passes.forward || !passes.backward) {
      return report_.add_program(
          number_, fmt::format("segment {} has no {} of micro-batch {}", segment.value(),
                               passes.forward ? "backward" : "forward", micro_batch.value()));
    }
    if (before_(*passes.forward, *passes.backward)) return;
    report_.add(at(*passes.backward), "it does not come after its forward",
                {report_.note(at(*passes.forward), "this op")});
  }

  // A pass reads what was loaded for its own micro-batch.
  void check_batches() {
    std::map<BufferId, OpId> loaded;
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      const OpKind kind = program_.ops[op].kind;
      const bool loads = kind == OpKind::load_batch;
      if (!loads && kind != OpKind::forward && kind != OpKind::backward) continue;
      for (const Operand& operand : program_.ops[op].operands) {
        if (loads) loaded[operand.buffer] = OpId(op);
        const auto source = loaded.find(operand.buffer);
        if (loads || source == loaded.end()) continue;
        const auto micro_batch = [&](OpId id) {
          return compute_of(program_.ops[id.index()]).micro_batch;
        };
        if (micro_batch(source->second) == micro_batch(OpId(op))) continue;
        report_.add(at(OpId(op)), "it reads another micro-batch's samples",
                    {report_.note(at(source->second), "loaded by this op")});
      }
    }
  }

  // Every parameter of this part stands in one class.
  void check_classes() {
    std::map<ParameterId, std::size_t> classes;
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      std::int64_t elements = 0;
      for (const ParameterId parameter : program_.parameter_classes[c].parameters) {
        elements += net_.parameters[parameter.index()].shape.elements();
        if (classes.try_emplace(parameter, c).second) continue;
        report_.add_program(number_, fmt::format("parameter {} is in classes {} and {}",
                                                 parameter.value(), classes[parameter], c));
      }
      if (elements == program_.parameter_classes[c].elements) continue;
      report_.add_program(number_,
                          fmt::format("class {} says {} elements, its parameters have {}", c,
                                      program_.parameter_classes[c].elements, elements));
    }
    const auto used = parameters_of(net_, program_.begin, program_.end);
    for (const ParameterId parameter : used) {
      if (classes.count(parameter) > 0) continue;
      report_.add_program(number_,
                          fmt::format("parameter {} ({}) is in no class", parameter.value(),
                                      net_.parameters[parameter.index()].name));
    }
    if (classes.size() <= used.size()) return;
    report_.add_program(number_, fmt::format("its classes hold {} parameters, its segments use {}",
                                             classes.size(), used.size()));
  }

  void check_class(ParameterClassId c) {
    const auto reductions = ops_of_class(OpKind::all_reduce, c);
    const auto updates = ops_of_class(OpKind::optimizer_step, c);
    if (updates.size() != 1) {
      return report_.add_program(
          number_, fmt::format("class {} is updated {} times", c.value(), updates.size()));
    }
    if (program_.parameter_classes[c.index()].group) check_ranges(c, reductions);
    for (const OpId reduction : reductions) {
      if (!before_(reduction, updates[0])) {
        report_.add(at(updates[0]), "it does not wait for its gradients",
                    {report_.note(at(reduction), "reduced by this op")});
      }
    }
    check_backwards(c, reductions, updates[0]);
  }

  std::vector<OpId> ops_of_class(OpKind kind, ParameterClassId c) const {
    std::vector<OpId> found;
    for (std::size_t op = 0; op < program_.ops.size(); ++op) {
      if (program_.ops[op].kind != kind) continue;
      const ParameterClassId of = kind == OpKind::all_reduce
                                      ? collective_of(program_.ops[op]).parameter_class
                                      : optimize_of(program_.ops[op]).parameter_class;
      if (of == c) found.push_back(OpId(op));
    }
    return found;
  }

  // The reductions of a class cover each element once.
  void check_ranges(ParameterClassId c, std::vector<OpId> reductions) {
    const auto range = [&](OpId op) -> const Collective& {
      return collective_of(program_.ops[op.index()]);
    };
    std::sort(reductions.begin(), reductions.end(),
              [&](OpId a, OpId b) { return range(a).begin < range(b).begin; });
    std::int64_t covered = 0;
    for (const OpId reduction : reductions) {
      if (range(reduction).begin != covered) {
        return report_.add(at(reduction),
                           fmt::format("elements are reduced up to {} before it", covered));
      }
      covered = range(reduction).end;
    }
    const std::int64_t elements = program_.parameter_classes[c.index()].elements;
    if (covered == elements) return;
    report_.add_program(number_, fmt::format("of class {} elements {}..{} are never reduced",
                                             c.value(), covered, elements));
  }

  // Whoever adds to an element has ended before it is reduced, and before the update; whoever reads
  // the weights, too.
  void check_backwards(ParameterClassId c, const std::vector<OpId>& reductions, OpId update) {
    const auto offsets = offsets_of(c);
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const OpKind kind = program_.ops[id].kind;
      if (kind != OpKind::forward && kind != OpKind::backward) continue;
      const Compute& compute = compute_of(program_.ops[id]);
      for (const ParameterId parameter : parameters_of(net_, compute.begin, compute.end)) {
        const auto range = offsets.find(parameter);
        if (range == offsets.end()) continue;
        check_order(OpId(id), update, "the weights it uses are updated");
        if (kind == OpKind::forward) continue;
        for (const OpId reduction : reductions) {
          const Collective& part = collective_of(program_.ops[reduction.index()]);
          if (part.begin < range->second.second && range->second.first < part.end) {
            check_order(OpId(id), reduction, "a gradient it adds to is reduced");
          }
        }
      }
    }
  }

  void check_order(OpId first, OpId second, std::string_view what) {
    if (before_(first, second)) return;
    report_.add(at(first), fmt::format("{} without waiting for it", what),
                {report_.note(at(second), "by this op")});
  }

  using Offsets = std::map<ParameterId, std::pair<std::int64_t, std::int64_t>>;
  Offsets offsets_of(ParameterClassId c) const {
    Offsets offsets;
    std::int64_t element = 0;
    for (const ParameterId parameter : program_.parameter_classes[c.index()].parameters) {
      const std::int64_t n = net_.parameters[parameter.index()].shape.elements();
      offsets[parameter] = {element, element + n};
      element += n;
    }
    return offsets;
  }

  At at(OpId op) const { return {number_, op}; }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const Net net_;
  const HappensBefore before_;
};

// ---- all ranks -------------------------------------------------------------------------------

// Every sample of the global batch is seen by one replica; a replica is the ranks (stages) that
// share their micro-batches.
void check_batch(Report& report) {
  const Plan& plan = report.plan;
  std::set<std::int64_t> replicas;
  std::set<std::int64_t> micro_batches;
  std::size_t count = 0;
  for (const RankBinding& rank : plan.ranks) {
    if (!replicas.insert(rank.first_micro_batch).second) continue;
    for (std::int64_t m = 0; m < plan.programs[rank.program.index()].micro_batches; ++m, ++count) {
      micro_batches.insert(rank.first_micro_batch + m);
    }
  }
  if (micro_batches.size() != count) report.add("two replicas train on the same micro-batch");
  const auto samples = static_cast<std::int64_t>(count) * plan.micro_batch_samples;
  if (samples == plan.training.batch) return;
  report.add(fmt::format("{} micro-batches of {} samples are {} samples, the batch has {}", count,
                         plan.micro_batch_samples, samples, plan.training.batch));
}

// The ranks that hold each parameter, and the class they hold it in.
struct Holder {
  RankId rank;
  std::size_t parameter_class;
};
std::map<ParameterId, std::vector<Holder>> holders_of(const Plan& plan) {
  std::map<ParameterId, std::vector<Holder>> holders;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const auto& classes = program_of(plan, RankId(r)).parameter_classes;
    for (std::size_t c = 0; c < classes.size(); ++c) {
      for (const ParameterId parameter : classes[c].parameters)
        holders[parameter].push_back({RankId(r), c});
    }
  }
  return holders;
}

class Holders {
 public:
  explicit Holders(Report& report) : report_(report), plan_(report.plan) {}

  void run() {
    for (const auto& [parameter, holders] : holders_of(plan_))
      check(parameter, holders);
  }

 private:
  const ParameterClass& class_of(const Holder& holder) const {
    return program_of(plan_, holder.rank).parameter_classes[holder.parameter_class];
  }

  void check(ParameterId parameter, const std::vector<Holder>& holders) {
    const auto& parameters = class_of(holders.front()).parameters;
    std::set<RankId> ranks;
    std::set<std::int64_t> replicas;
    for (const Holder& holder : holders) {
      ranks.insert(holder.rank);
      replicas.insert(plan_.ranks[holder.rank.index()].first_micro_batch);
      if (class_of(holder).parameters != parameters) {
        return report_.add(fmt::format("parameter {} is in different classes on ranks {} and {}",
                                       parameter.value(), holders.front().rank.value(),
                                       holder.rank.value()));
      }
    }
    for (const Holder& holder : holders)
      check_holder(parameter, holder, ranks, replicas.size());
  }

  void check_holder(ParameterId parameter, const Holder& holder, const std::set<RankId>& ranks,
                    std::size_t replicas) {
    const auto slot = class_of(holder).group;
    std::set<RankId> members = {holder.rank};
    if (slot) {
      const RankBinding& binding = plan_.ranks[holder.rank.index()];
      const auto& group = plan_.groups[binding.groups[*slot].index()].members;
      members = {group.begin(), group.end()};
    }
    if (members != ranks) {
      return report_.add_rank(holder.rank.index(),
                              fmt::format("parameter {} is reduced over {} ranks, and held by {}{}",
                                          parameter.value(), members.size(), ranks.size(),
                                          members.size() == ranks.size() ? " others" : ""));
    }
    check_divisors(holder, replicas);
  }

  // Gradients are means over a replica's samples: their sum is divided by the replicas.
  void check_divisors(const Holder& holder, std::size_t replicas) {
    const std::size_t program = plan_.ranks[holder.rank.index()].program.index();
    const auto& ops = plan_.programs[program].ops;
    for (std::size_t op = 0; op < ops.size(); ++op) {
      if (ops[op].kind != OpKind::all_reduce) continue;
      const Collective& detail = collective_of(ops[op]);
      if (detail.parameter_class.index() != holder.parameter_class) continue;
      if (detail.divisor == static_cast<std::int64_t>(replicas) ||
          !reported_.insert({program, op}).second)
        continue;
      report_.add({program, OpId(op)},
                  fmt::format("it divides by {}, but {} replicas add to these gradients",
                              detail.divisor, replicas));
    }
  }

  Report& report_;
  const Plan& plan_;
  std::set<std::pair<std::size_t, std::size_t>> reported_;
};

}  // namespace

void check_meaning(Report& report, const Net& net) {
  check_batch(report);
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p)
    ProgramMeaning(report, net, p).run();
  if (report.ok()) Holders(report).run();
}

}  // namespace rehearse::verifier
