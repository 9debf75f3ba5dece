#include <fmt/format.h>

#include <iterator>

#include "model/base/check.h"
#include "model/base/text.h"
#include "model/plan/plan_text.h"

namespace rehearse {
namespace {

template <class T>
std::string list(const std::vector<T>& items, const auto& text) {
  if (items.empty()) return "-";
  std::vector<std::string> parts;
  for (const T& item : items)
    parts.push_back(text(item));
  return join(parts, ",");
}

template <class T>
std::string ids(const std::vector<T>& items) {
  return list(items, [](const T& id) { return std::to_string(id.value()); });
}

class Printer {
 public:
  std::string run(const Plan& plan) {
    header(plan);
    for (std::size_t g = 0; g < plan.groups.size(); ++g) {
      line("group {} ranks={}", g, ids(plan.groups[g].members));
    }
    for (std::size_t p = 0; p < plan.programs.size(); ++p)
      program(p, plan.programs[p]);
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const RankBinding& rank = plan.ranks[r];
      line("rank {} program={} peers={} groups={} first_micro_batch={} slice={}", r,
           rank.program.value(), ids(rank.peers), ids(rank.groups), rank.first_micro_batch,
           rank.slice);
    }
    return std::move(text_);
  }

 private:
  template <class... Values>
  void line(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
    text_ += '\n';
  }

  void header(const Plan& plan) {
    line("rehearse plan {}", Plan::kVersion);
    line("strategy {}", plan.strategy);
    model(plan.model);
    const Training& t = plan.training;
    std::vector<std::string> changes;
    if (t.augmentation.crop) changes.emplace_back("crop");
    if (t.augmentation.flip) changes.emplace_back("flip");
    line("training data={} augment={} batch={} dtype={} steps={} seed={} reduction={}{}", t.data,
         changes.empty() ? "-" : join(changes, ","), t.batch, to_string(t.dtype), t.steps, t.seed,
         to_string(t.reduction),
         t.gradients ? fmt::format(" gradients={}", to_string(*t.gradients)) : "");
    optimizer(t.optimizer);
    std::vector<std::string> axes;
    for (const Axis axis : plan.mesh.order)
      axes.push_back(fmt::format("{}={}", to_string(axis), plan.mesh.size(axis)));
    line("mesh {}", join(axes, " "));
    line("tensor sequence_parallel={}", plan.sequence_parallel ? 1 : 0);
    line("recomputation {}", to_string(plan.recomputation));
    units(plan.units);
    if (plan.masking != Masking::forward) line("masking {}", to_string(plan.masking));
    if (plan.averaging != Averaging::holders) line("averaging {}", to_string(plan.averaging));
    if (plan.redraw) line("redraw every={}", *plan.redraw);
    local_steps(plan);
    if (plan.survival) line("stochastic_depth survival={}", exact(*plan.survival));
    line("micro_batch samples={}", plan.micro_batch_samples);
    line("branch_scale training={} test={}", exact(plan.branch_scale_in_training),
         exact(plan.branch_scale_at_test));
    const StageCosts& costs = plan.stage_costs;
    line("stage_costs forward={} backward_input={} backward_weight={} transfer={}",
         list(costs.forward, exact), list(costs.backward_input, exact),
         list(costs.backward_weight, exact), exact(costs.transfer));
  }

  // Nothing of what is as in most plans.
  void units(const UnitRule& rule) {
    if (rule.of_width > 1) {
      std::string axes;
      if (!rule.axes.empty())
        axes = fmt::format(" axes={}", list(rule.axes, [](WidthAxis axis) {
                             return std::string(to_string(axis));
                           }));
      line("widths units={}{}", rule.of_width, axes);
    }
    if (!rule.always_held.empty()) line("always_held blocks={}", ids(rule.always_held));
  }

  void local_steps(const Plan& plan) {
    if (has_local_steps(plan))
      line("local_steps {} synchronises={}", plan.local_steps, plan.synchronises ? "yes" : "no");
    if (plan.outer)
      line("outer lr={} momentum={}", exact(plan.outer->lr), exact(plan.outer->momentum));
  }

  void optimizer(const Optimizer& o) {
    std::string rule;
    if (const Adam* adam = std::get_if<Adam>(&o.rule)) {
      rule = fmt::format("beta1={} beta2={} epsilon={}", exact(adam->beta1), exact(adam->beta2),
                         exact(adam->epsilon));
    } else {
      rule = fmt::format("momentum={}", exact(std::get<Sgd>(o.rule).momentum));
    }
    if (o.clip) rule += fmt::format(" clip={}", exact(*o.clip));
    line("optimizer {} lr={} weight_decay={} {}", name_of(o), exact(o.lr), exact(o.weight_decay),
         rule);
    line("rate warmup={} decay={} last={} every={} factor={}", o.schedule.warmup,
         to_string(o.schedule.decay), exact(o.schedule.last), o.schedule.every,
         exact(o.schedule.factor));
  }

  void model(const ModelSpec& spec) {
    std::string fields;
    const ModelBuilder* builder = find_model_builder(spec.kind);
    REHEARSE_CHECK(builder != nullptr, "plan of model kind '{}'", spec.kind);
    for (const ModelField& field : builder->fields) {
      const auto& value = spec.fields.at(std::string(field.name));
      if (field.is_tacit && value == field.preset) continue;
      fields += fmt::format(" {}={}", field.name, print_field(field.kind, value));
    }
    line("model {}{}", spec.kind, fields);
  }

  void program(std::size_t number, const RankProgram& p) {
    std::string holds;
    for (const bool held : p.subnetwork.holds)
      holds += held ? '1' : '0';
    std::string scale;
    if (p.branch_scale_in_training)
      scale = fmt::format(" branch_scale={}", exact(*p.branch_scale_in_training));
    line("program {} name={} stages={} micro_batches={} holds={}{}", number, p.name,
         list(p.stages, stage), p.micro_batches, holds.empty() ? "-" : holds, scale);
    for (std::size_t l = 0; l < p.lanes.size(); ++l)
      line("lane {} {} stage={}", l, to_string(p.lanes[l].kind), p.lanes[l].stage.value());
    for (std::size_t c = 0; c < p.parameter_classes.size(); ++c) {
      const ParameterClass& held = p.parameter_classes[c];
      std::string readers;
      if (held.readers) readers = fmt::format(" readers={}", *held.readers);
      line("{} {} elements={} group={} holders={} sharding={} buckets={} parameters={}{}",
           is_parked(held) ? "parked_class"
           : held.is_held  ? "class"
                           : "read_class",
           c, held.elements, held.group ? std::to_string(*held.group) : "-", held.holders,
           to_string(held.sharding),
           list(held.buckets, [](std::int64_t end) { return std::to_string(end); }),
           ids(held.parameters), readers);
    }
    for (std::size_t b = 0; b < p.buffers.size(); ++b)
      buffer(b, p.buffers[b]);
    for (std::size_t o = 0; o < p.ops.size(); ++o)
      op(o, p.ops[o]);
  }

  void buffer(std::size_t number, const Buffer& b) {
    std::string of;
    if (b.value) of = fmt::format(" value={}", b.value->value());
    if (b.parameter_class) of = fmt::format(" class={}", b.parameter_class->value());
    if (holds_range(b.kind)) of += fmt::format(" elements={}..{}", b.begin, b.end);
    line("buffer {} kind={} bytes={}{}", number, to_string(b.kind), b.size.bytes(), of);
  }

  void op(std::size_t number, const Op& o) {
    line("op {} {} lane={} after={}{} uses={}", number, to_string(o.kind), o.lane.value(),
         ids(o.after), detail(o), list(o.operands, operand));
  }

  static std::string stage(const Stage& s) {
    return fmt::format("{}:{}..{}", s.number.value(), s.begin.value(), s.end.value());
  }

  static std::string operand(const Operand& o) {
    return fmt::format("{}{}{}{}", to_string(o.access)[0], o.buffer.value(), o.allocates ? "+" : "",
                       o.frees ? "-" : "");
  }

  // With a blank ahead of it.
  static std::string detail(const Op& o) {
    switch (o.kind) {
      case OpKind::load_batch:
        return fmt::format(" micro_batch={}", compute_of(o).micro_batch.value());
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute: {
        const Compute& compute = compute_of(o);
        return fmt::format(" segments={}..{} micro_batch={}", compute.begin.value(),
                           compute.end.value(), compute.micro_batch.value());
      }
      case OpKind::send:
      case OpKind::receive: {
        const Transfer& transfer = transfer_of(o);
        return fmt::format(" peer={} tag={} bytes={}", transfer.peer, transfer.tag,
                           transfer.bytes.bytes());
      }
      case OpKind::clear: {
        const Clear& it = clear_of(o);
        return fmt::format(" class={} elements={}..{}", it.parameter_class.value(), it.begin,
                           it.end);
      }
      case OpKind::accumulate: {
        const Accumulate& it = accumulate_of(o);
        return fmt::format(" class={} elements={}..{} divisor={}", it.parameter_class.value(),
                           it.begin, it.end, it.divisor);
      }
      case OpKind::all_reduce:
      case OpKind::reduce_scatter:
      case OpKind::all_gather:
      case OpKind::broadcast: {
        const Collective& it = collective_of(o);
        const auto& c = it.parameter_class;
        std::string text =
            fmt::format(" group={} class={} elements={}..{} width={} divisor={} algorithm={}",
                        it.group, c ? std::to_string(c->value()) : "-", it.begin, it.end,
                        it.element_bytes, it.divisor, to_string(it.algorithm));
        if (it.algorithm == CollectiveAlgorithm::hierarchical)
          text += fmt::format(" node_members={}", it.node_members);
        if (it.algorithm == CollectiveAlgorithm::double_tree)
          text += fmt::format(" pieces={}", it.pieces);
        if (o.kind == OpKind::broadcast) text += fmt::format(" sources={}", it.sources);
        return text;
      }
      case OpKind::sum_squares:
        return "";
      case OpKind::optimizer_step:
      case OpKind::outer_gradient:
      case OpKind::outer_step:
        return fmt::format(" class={}", optimize_of(o).parameter_class.value());
    }
    REHEARSE_UNREACHABLE("op kind");
  }

  std::string text_;
};

}  // namespace

std::string print(const Plan& plan) {
  return Printer().run(plan);
}

std::string plan_hash(const Plan& plan) {
  return hash_text(print(plan));
}

}  // namespace rehearse
