#include <algorithm>
#include <map>
#include <set>

#include "model/plan/happens_before.h"
#include "model/plan/own_net.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

bool is_slab(BufferKind kind) {
  return kind == BufferKind::saved || kind == BufferKind::kept || kind == BufferKind::deferred;
}

// One program: passes over its part of the network, then reductions, then updates.
class ProgramMeaning {
 public:
  ProgramMeaning(Report& report, const Net& full, std::size_t number)
      : report_(report),
        number_(number),
        program_(report.plan.programs[number]),
        own_(report.plan, full, program_),
        net_(*own_),
        sizes_(element_sizes(report.plan.training)),
        before_(program_),
        micro_batches_(micro_batch_of_buffers(program_)) {}

  void run() {
    check_passes();
    check_micro_batches();
    check_classes();
    if (!report_.ok()) return;
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      ranges_.push_back(ranges_of(program_.parameter_classes[c]));
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c)
      check_class(ParameterClassId(c));
    check_accumulations(report_, number_, before_, micro_batches_);
    check_squares(report_, number_, before_);
    if (report_.plan.survival) check_clears(report_, net_, number_, before_);
    check_meetings(report_, number_, before_);
  }

 private:
  At at(OpId op) const { return {number_, op}; }
  const Op& op(OpId id) const { return program_.ops[id.index()]; }

  // ---- passes ----------------------------------------------------------------------------------

  struct Passes {
    std::optional<OpId> forward, backward, input, weight, recompute;
    std::optional<OpId>& of(OpKind kind) {
      switch (kind) {
        case OpKind::forward:
          return forward;
        case OpKind::backward:
          return backward;
        case OpKind::backward_input:
          return input;
        case OpKind::backward_weight:
          return weight;
        case OpKind::recompute:
          return recompute;
        case OpKind::load_batch:
        case OpKind::accumulate:
        case OpKind::clear:
        case OpKind::send:
        case OpKind::receive:
        case OpKind::all_reduce:
        case OpKind::reduce_scatter:
        case OpKind::all_gather:
        case OpKind::broadcast:
        case OpKind::sum_squares:
        case OpKind::optimizer_step:
        case OpKind::outer_gradient:
        case OpKind::outer_step:
          break;
      }
      REHEARSE_UNREACHABLE("no pass");
    }
  };

  // Every segment with layers once forward, then once backward (whole, or first its input and then
  // its weight gradients), per micro-batch; in between it may be recomputed once.
  void check_passes() {
    std::map<std::pair<SegmentId, MicroBatchId>, Passes> passes;
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const OpKind kind = program_.ops[id].kind;
      if (!is_pass(kind)) continue;
      const Compute& compute = compute_of(program_.ops[id]);
      for (std::size_t s = compute.begin.index(); s < compute.end.index(); ++s) {
        auto& slot = passes[{SegmentId(s), compute.micro_batch}].of(kind);
        if (slot) {
          report_.add(at(OpId(id)), fmt::format("segment {} is done twice", s),
                      {report_.note(at(*slot), "first by this op")});
        }
        slot = OpId(id);
      }
    }
    for (const Stage& stage : program_.stages) {
      for (std::size_t s = stage.begin.index(); s < stage.end.index(); ++s) {
        // Rows that are exchanged are check_exchanges()'s.
        if (net_.segments[s].layers.empty() || row_exchange(net_, SegmentId(s))) continue;
        for (std::int64_t m = 0; m < program_.micro_batches; ++m)
          check_segment(SegmentId(s), MicroBatchId(m), passes[{SegmentId(s), MicroBatchId(m)}]);
      }
    }
  }

  void check_segment(SegmentId segment, MicroBatchId micro_batch, const Passes& passes) {
    const bool whole = passes.backward && !passes.input && !passes.weight;
    const bool split = !passes.backward && (passes.input || passes.weight);
    if (!passes.forward || (!whole && !split)) {
      const bool both = passes.backward && (passes.input || passes.weight);
      return report_.add_program(
          number_, both
                       ? fmt::format("segment {} has two backwards of micro-batch {}",
                                     segment.value(), micro_batch.value())
                       : fmt::format("segment {} has no {} of micro-batch {}", segment.value(),
                                     passes.forward ? "backward" : "forward", micro_batch.value()));
    }
    const Halves& needed = halves_of(segment);
    if (split && ((needed.input && !passes.input) || (needed.weight && !passes.weight))) {
      return report_.add_program(
          number_, fmt::format("segment {} has no {} gradients of micro-batch {}", segment.value(),
                               passes.input ? "weight" : "input", micro_batch.value()));
    }
    const auto first = whole ? passes.backward : passes.input ? passes.input : passes.weight;
    if (passes.recompute) {
      follows(*passes.recompute, *passes.forward, "it does not come after its forward");
      follows(*first, *passes.recompute, "it does not come after its recomputation");
    }
    follows(*first, *passes.forward, "it does not come after its forward");
    if (passes.input && passes.weight)
      follows(*passes.weight, *passes.input, "it does not come after its input gradients");
  }

  // Which halves of a split backward have anything to do in a segment: parts without have no op.
  struct Halves {
    bool input = false, weight = false;
  };
  const Halves& halves_of(SegmentId segment) {
    const auto [known, is_new] = halves_.try_emplace(segment);
    if (!is_new) return known->second;
    const auto works = [&](Pass pass) {
      return !lower(net_, segment, SegmentId(segment.value() + 1), pass,
                    report_.plan.micro_batch_samples, sizes_)
                  .steps.empty();
    };
    known->second = {works(Pass::backward_input), works(Pass::backward_weight)};
    return known->second;
  }

  void follows(OpId later, OpId earlier, std::string_view problem) {
    if (before_(earlier, later)) return;
    report_.add(at(later), std::string(problem), {report_.note(at(earlier), "this op")});
  }

  // What is made for one micro-batch is used for it, and slabs by the passes over one range.
  void check_micro_batches() {
    std::vector<std::optional<OpId>> first(program_.buffers.size());
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& it = program_.ops[id];
      if (!is_pass(it.kind) && it.kind != OpKind::load_batch) continue;
      for (const Operand& operand : it.operands) {
        const BufferKind kind = program_.buffers[operand.buffer.index()].kind;
        if (!is_of_a_micro_batch(kind)) continue;
        auto& known = first[operand.buffer.index()];
        if (!known) {
          known = OpId(id);
          continue;
        }
        const Compute &a = compute_of(op(*known)), &b = compute_of(it);
        if (a.micro_batch != b.micro_batch) {
          report_.add(at(OpId(id)),
                      fmt::format("it uses buffer {} of micro-batch {}", operand.buffer.value(),
                                  a.micro_batch.value()),
                      {report_.note(at(*known), "which this op uses, too")});
        } else if (is_slab(kind) && (a.begin != b.begin || a.end != b.end)) {
          report_.add(at(OpId(id)),
                      fmt::format("it uses buffer {} of segments {}..{}", operand.buffer.value(),
                                  a.begin.value(), a.end.value()),
                      {report_.note(at(*known), "which this op uses, too")});
        }
      }
    }
  }

  // ---- parameter classes -----------------------------------------------------------------------

  // Every parameter of this part stands in one class.
  void check_classes() {
    std::map<ParameterId, std::size_t> classes;
    std::size_t parked = 0;
    for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
      std::int64_t elements = 0;
      if (is_parked(program_.parameter_classes[c]))
        parked += program_.parameter_classes[c].parameters.size();
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
    std::set<ParameterId> used;
    for (const Stage& stage : program_.stages) {
      for (const ParameterId parameter : parameters_of(net_, stage.begin, stage.end)) {
        used.insert(parameter);
        const auto known = classes.find(parameter);
        const bool is_here = known != classes.end();
        if (is_here && !is_parked(program_.parameter_classes[known->second])) continue;
        report_.add_program(number_,
                            fmt::format("parameter {} ({}) is {}", parameter.value(),
                                        net_.parameters[parameter.index()].name,
                                        is_here ? "used here, but parked" : "in no class"));
      }
    }
    // Under stochastic depth what does not run is there nonetheless: check_clears().
    if (report_.plan.survival || classes.size() <= used.size() + parked) return;
    report_.add_program(number_, fmt::format("its classes hold {} parameters, its segments use {}",
                                             classes.size() - parked, used.size()));
  }

  struct Range {
    std::int64_t begin = 0, end = 0;
    bool meets(std::int64_t b, std::int64_t e) const { return begin < e && b < end; }
  };
  using Ranges = std::map<ParameterId, Range>;

  Ranges ranges_of(const ParameterClass& held) const {
    Ranges ranges;
    std::int64_t element = 0;
    for (const ParameterId parameter : held.parameters) {
      const std::int64_t n = net_.parameters[parameter.index()].shape.elements();
      ranges[parameter] = {element, element + n};
      element += n;
    }
    return ranges;
  }

  // What the passes over a range do to a class: whether they read its weights, and where they add
  // to its gradients.
  struct Effect {
    bool reads = false;
    std::vector<Range> adds;
  };
  const Effect& effect(const Op& it, ParameterClassId c) {
    const Compute& compute = compute_of(it);
    const Pass pass = pass_of(program_, it);
    const auto [known, is_new] = effects_.try_emplace({compute.begin, compute.end, pass, c});
    if (!is_new) return known->second;
    const Ranges& ranges = ranges_[c.index()];
    const Touched& touched = this->touched(compute, pass);
    for (const ParameterId parameter : touched.read)
      known->second.reads = known->second.reads || ranges.count(parameter) > 0;
    for (const ParameterId parameter : touched.differentiated) {
      const auto range = ranges.find(parameter);
      if (range != ranges.end()) known->second.adds.push_back(range->second);
    }
    return known->second;
  }

  // Of all classes.
  struct Touched {
    std::vector<ParameterId> read, differentiated;
  };
  const Touched& touched(const Compute& compute, Pass pass) {
    const auto [known, is_new] = touched_.try_emplace({compute.begin, compute.end, pass});
    if (is_new) {
      const Lowering lowering =
          lower(net_, compute.begin, compute.end, pass, report_.plan.micro_batch_samples, sizes_);
      known->second = {parameters_read(net_, lowering), parameters_differentiated(net_, lowering)};
    }
    return known->second;
  }

  std::vector<OpId> ops_of_class(OpKind kind, ParameterClassId c) const {
    std::vector<OpId> found;
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      const Op& it = program_.ops[id];
      if (it.kind != kind) continue;
      const std::optional<ParameterClassId> of = kind == OpKind::optimizer_step
                                                     ? optimize_of(it).parameter_class
                                                     : collective_of(it).parameter_class;
      if (of == c) found.push_back(OpId(id));
    }
    return found;
  }

  void check_class(ParameterClassId c) {
    const ParameterClass& held = program_.parameter_classes[c.index()];
    const auto updates = ops_of_class(OpKind::optimizer_step, c);
    const std::size_t wanted = held.is_held ? 1 : 0;
    if (updates.size() != wanted) {
      return report_.add_program(number_, fmt::format("class {} is updated {} times, not {}",
                                                      c.value(), updates.size(), wanted));
    }
    check_broadcasts(c, held.is_held ? std::optional(updates[0]) : std::nullopt);
    if (held.is_held) check_reductions(c, updates[0]);
  }

  // Holders send what they have updated (and gathered, where they share that out), readers receive
  // when they have read the old weights for the last time.
  void check_broadcasts(ParameterClassId c, std::optional<OpId> update) {
    const ParameterClass& held = program_.parameter_classes[c.index()];
    const auto broadcasts = ops_of_class(OpKind::broadcast, c);
    refuse(held.readers ? std::vector<OpId>{} : broadcasts, "all who read its class hold it");
    if (!held.readers) return;
    check_ranges(c, broadcasts, "broadcast");
    for (const OpId broadcast : broadcasts) {
      if (update) follows(broadcast, *update, "it sends weights without waiting for their update");
      for (const OpId gather : ops_of_class(OpKind::all_gather, c))
        follows(broadcast, gather, "it sends weights without waiting for all of them");
      for (std::size_t id = 0; !update && id < program_.ops.size(); ++id) {
        if (is_pass(program_.ops[id].kind) && effect(program_.ops[id], c).reads)
          check_order(OpId(id), broadcast, "the weights it uses are replaced");
      }
    }
  }

  void check_reductions(ParameterClassId c, OpId update) {
    const ParameterClass& held = program_.parameter_classes[c.index()];
    // Where steps are local, what is summed are the weights, when they come together.
    const bool sums = held.group && held.sharding == Sharding::none &&
                      (!has_local_steps(report_.plan) || report_.plan.synchronises);
    const bool scatters = held.sharding != Sharding::none;
    const auto all_reduces = ops_of_class(OpKind::all_reduce, c);
    const auto scattered = ops_of_class(OpKind::reduce_scatter, c);
    const auto gathers = ops_of_class(OpKind::all_gather, c);
    refuse(sums ? std::vector<OpId>{} : all_reduces, "its class is not all-reduced");
    refuse(scatters ? std::vector<OpId>{} : scattered, "its class is not sharded");
    refuse(scatters ? std::vector<OpId>{} : gathers, "its class is not sharded");
    if (!report_.ok()) return;
    if (sums) check_ranges(c, all_reduces, "reduced");
    if (held.sharding == Sharding::optimizer_state) check_ranges(c, scattered, "reduced");
    if (held.sharding >= Sharding::gradients) check_every_micro_batch(c, scattered);
    if (scatters && held.sharding < Sharding::parameters) {
      check_ranges(c, gathers, "gathered");
      for (const OpId gather : gathers)
        follows(gather, update, "it gathers weights without waiting for their update");
    }
    if (held.sharding == Sharding::parameters) {
      for (const OpId gather : gathers) {
        check_bucket(held, gather);
        follows(update, gather, "the weights it updates are gathered without waiting for it");
      }
    }
    if (has_local_steps(report_.plan)) return check_backwards(c, {}, update);
    std::vector<OpId> reductions = all_reduces;
    reductions.insert(reductions.end(), scattered.begin(), scattered.end());
    for (const OpId reduction : reductions) {
      if (before_(reduction, update)) continue;
      report_.add(at(update), "it does not wait for its gradients",
                  {report_.note(at(reduction), "reduced by this op")});
    }
    check_backwards(c, reductions, update);
  }

  void refuse(const std::vector<OpId>& ops, std::string_view problem) {
    for (const OpId id : ops)
      report_.add(at(id), std::string(problem));
  }

  // Collectives of a class cover each element once; sums and gathers of a sharded one bucket by
  // bucket.
  void check_ranges(ParameterClassId c, std::vector<OpId> ops, std::string_view done) {
    const ParameterClass& held = program_.parameter_classes[c.index()];
    const auto range = [&](OpId id) -> const Collective& { return collective_of(op(id)); };
    std::sort(ops.begin(), ops.end(),
              [&](OpId a, OpId b) { return range(a).begin < range(b).begin; });
    std::int64_t covered = 0;
    for (std::size_t k = 0; k < ops.size(); ++k) {
      if (range(ops[k]).begin != covered) {
        return report_.add(at(ops[k]),
                           fmt::format("elements are {} up to {} before it", done, covered));
      }
      covered = range(ops[k]).end;
      check_bucket(held, ops[k]);
    }
    if (covered == held.elements) return;
    report_.add_program(number_, fmt::format("of class {} elements {}..{} are never {}", c.value(),
                                             covered, held.elements, done));
  }

  void check_bucket(const ParameterClass& held, OpId id) {
    if (held.sharding == Sharding::none || op(id).kind == OpKind::broadcast) return;
    const Collective& range = collective_of(op(id));
    const auto end = std::find(held.buckets.begin(), held.buckets.end(), range.end);
    const std::int64_t begin = end == held.buckets.begin() ? 0 : *std::prev(end);
    if (end != held.buckets.end() && range.begin == begin) return;
    report_.add(at(id), "its elements are no bucket of its class");
  }

  // Where gradients are sharded every micro-batch's are reduced bucket by bucket, into the shard:
  // the first writes it, the others add. Those that are added up before count as the first one's.
  void check_every_micro_batch(ParameterClassId c, const std::vector<OpId>& scattered) {
    const ParameterClass& held = program_.parameter_classes[c.index()];
    std::map<std::int64_t, std::map<MicroBatchId, OpId>> by_bucket;  // by its end
    std::set<BufferId> reduced;
    for (const OpId id : scattered) {
      check_bucket(held, id);
      const BufferId source = op(id).operands.front().buffer;
      reduced.insert(source);
      const Buffer& buffer = program_.buffers[source.index()];
      const Collective& range = collective_of(op(id));
      const bool right = buffer.kind == BufferKind::unreduced && buffer.begin == range.begin &&
                         buffer.end == range.end && micro_batches_[source.index()] &&
                         op(id).operands.size() > 1;
      if (!right) {
        report_.add(at(id), "it does not reduce one micro-batch's gradients of a bucket");
        continue;
      }
      auto& done = by_bucket[range.end];
      const bool is_first = done.empty();
      const auto [known, is_new] = done.try_emplace(*micro_batches_[source.index()], id);
      if (!is_new)
        report_.add(at(id), "these gradients are reduced twice",
                    {report_.note(at(known->second), "first by this op")});
      if ((op(id).operands[1].access == Access::write) != is_first)
        report_.add(at(id), is_first ? "it adds to a shard that nothing has been written to"
                                     : "it overwrites what other micro-batches have added");
    }
    const bool added_up = accumulates_exactly(report_.plan.training, program_.micro_batches);
    const std::size_t expected = added_up ? 1 : static_cast<std::size_t>(program_.micro_batches);
    for (const std::int64_t end : held.buckets) {
      if (by_bucket[end].size() == expected) continue;
      report_.add_program(
          number_, fmt::format("of class {} the bucket up to element {} is reduced for {} of {} "
                               "micro-batches",
                               c.value(), end, by_bucket[end].size(), expected));
    }
    if (!added_up) check_all_are_reduced(c, reduced);
  }

  // Nobody adds to what is not reduced.
  void check_all_are_reduced(ParameterClassId c, const std::set<BufferId>& reduced) {
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      if (!is_pass(program_.ops[id].kind)) continue;
      for (const Operand& operand : program_.ops[id].operands) {
        const Buffer& buffer = program_.buffers[operand.buffer.index()];
        if (buffer.kind != BufferKind::unreduced || buffer.parameter_class != c ||
            reduced.count(operand.buffer) > 0)
          continue;
        report_.add(at(OpId(id)), fmt::format("it adds to buffer {}, which is never reduced",
                                              operand.buffer.value()));
      }
    }
  }

  using Reductions = std::map<std::optional<MicroBatchId>, std::vector<OpId>>;
  static constexpr std::optional<MicroBatchId> kOfAll = std::nullopt;

  // Whoever adds to an element has ended before it is reduced, and before the update; whoever reads
  // the weights, too.
  void check_backwards(ParameterClassId c, const std::vector<OpId>& all, OpId update) {
    Reductions reductions;
    for (const OpId id : all)
      reductions[micro_batches_[op(id).operands.front().buffer.index()]].push_back(id);
    for (std::size_t id = 0; id < program_.ops.size(); ++id) {
      if (!is_pass(program_.ops[id].kind)) continue;
      const Effect& done = effect(program_.ops[id], c);
      if (done.reads || !done.adds.empty())
        check_order(OpId(id), update, "the weights it uses are updated");
      if (done.adds.empty()) continue;
      // One micro-batch's reductions wait for that micro-batch, those of all for all.
      for (const auto& of : {std::optional(compute_of(program_.ops[id]).micro_batch), kOfAll})
        check_reductions(OpId(id), done.adds, reductions[of]);
    }
  }

  void check_reductions(OpId id, const std::vector<Range>& adds,
                        const std::vector<OpId>& reductions) {
    for (const OpId reduction : reductions) {
      const Collective& part = collective_of(op(reduction));
      const bool meets = std::any_of(adds.begin(), adds.end(), [&](const Range& range) {
        return range.meets(part.begin, part.end);
      });
      if (meets) check_order(id, reduction, "a gradient it adds to is reduced");
    }
  }

  void check_order(OpId first, OpId second, std::string_view what) {
    if (before_(first, second)) return;
    report_.add(at(first), fmt::format("{} without waiting for it", what),
                {report_.note(at(second), "by this op")});
  }

  Report& report_;
  std::size_t number_;
  const RankProgram& program_;
  const OwnNet own_;
  const Net& net_;
  const ElementSizes sizes_;
  const HappensBefore before_;
  const std::vector<std::optional<MicroBatchId>> micro_batches_;  // by buffer
  std::map<SegmentId, Halves> halves_;
  std::vector<Ranges> ranges_;  // by class
  std::map<std::tuple<SegmentId, SegmentId, Pass, ParameterClassId>, Effect> effects_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, Touched> touched_;
};

}  // namespace

void check_meaning(Report& report, const Net& net, const RankClasses& classes) {
  check_batch(report, net);
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p)
    ProgramMeaning(report, net, p).run();
  check_exchanges(report, net);
  if (report.ok()) check_holders(report, net, classes);
  if (report.ok()) check_readers(report, net);
  if (report.ok()) check_parked(report, net);
}

}  // namespace rehearse::verifier
