#include "model/plan/verify/report.h"

#include "model/plan/verify.h"

namespace rehearse {

std::string describe_op(const RankProgram& program, OpId id) {
  const Op& op = program.ops[id.index()];
  switch (op.kind) {
    case OpKind::load_batch:
      return fmt::format("op {} (load_batch, micro-batch {})", id.value(),
                         compute_of(op).micro_batch.value());
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return fmt::format("op {} ({}, segments {}..{}, micro-batch {})", id.value(),
                         to_string(op.kind), compute_of(op).begin.value(),
                         compute_of(op).end.value(), compute_of(op).micro_batch.value());
    case OpKind::accumulate: {
      const Accumulate& it = accumulate_of(op);
      return fmt::format("op {} (accumulate, class {}, elements {}..{})", id.value(),
                         it.parameter_class.value(), it.begin, it.end);
    }
    case OpKind::clear: {
      const Clear& it = clear_of(op);
      return fmt::format("op {} (clear, class {}, elements {}..{})", id.value(),
                         it.parameter_class.value(), it.begin, it.end);
    }
    case OpKind::send:
    case OpKind::receive:
      return fmt::format("op {} ({}, tag {})", id.value(), to_string(op.kind), transfer_of(op).tag);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast: {
      const Collective& it = collective_of(op);
      const std::string of = it.parameter_class
                                 ? fmt::format("class {}, ", it.parameter_class->value())
                             : is_of_squares(program, op) ? "squares, "
                                                          : "";
      return fmt::format("op {} ({}, {}elements {}..{})", id.value(), to_string(op.kind), of,
                         it.begin, it.end);
    }
    case OpKind::sum_squares:
      return fmt::format("op {} (sum_squares)", id.value());
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      return fmt::format("op {} ({}, class {})", id.value(), to_string(op.kind),
                         optimize_of(op).parameter_class.value());
  }
  REHEARSE_UNREACHABLE("op kind");
}

namespace verifier {
namespace {
constexpr std::size_t kMostErrors = 20;
}  // namespace

std::optional<SourceSpan> Report::line(int number) const {
  if (places_ == nullptr || number < 1) return std::nullopt;
  const std::string_view text = places_->source->line(number);
  const std::size_t stop = text.find_first_of(" #\r");
  return SourceSpan{places_->source, number, 1, static_cast<int>(std::min(stop, text.size()))};
}

std::optional<SourceSpan> Report::place(const At& at) const {
  if (places_ == nullptr) return std::nullopt;
  return line(places_->ops[at.program][at.op.index()]);
}

std::string Report::name(const At& at) const {
  const RankProgram& program = plan.programs[at.program];
  const std::string op = describe_op(program, at.op);
  if (at.rank) return fmt::format("rank {}, {}", at.rank->value(), op);
  return fmt::format("program {}, {}", program.name, op);
}

void Report::add_mesh(std::string message) {
  errors_.push_back({line(places_ == nullptr ? 0 : places_->mesh), std::move(message), {}});
}

void Report::add_micro_batch(std::string message) {
  errors_.push_back({line(places_ == nullptr ? 0 : places_->micro_batch), std::move(message), {}});
}

void Report::add_local_steps(std::string message) {
  errors_.push_back({line(places_ == nullptr ? 0 : places_->local_steps), std::move(message), {}});
}

void Report::add(const At& at, std::string message, std::vector<Note> notes) {
  errors_.push_back({place(at), fmt::format("{}: {}", name(at), message), std::move(notes)});
}

void Report::add_program(std::size_t program, std::string message) {
  errors_.push_back({places_ ? line(places_->programs[program]) : std::nullopt,
                     fmt::format("program {}: {}", plan.programs[program].name, message),
                     {}});
}

void Report::add_rank(std::size_t rank, std::string message) {
  errors_.push_back({places_ ? line(places_->ranks[rank]) : std::nullopt,
                     fmt::format("rank {}: {}", rank, message),
                     {}});
}

void Report::add_group(std::size_t group, std::string message) {
  errors_.push_back({places_ ? line(places_->groups[group]) : std::nullopt,
                     fmt::format("group {}: {}", group, message),
                     {}});
}

Note Report::note(const At& at, std::string message) const {
  return {place(at), fmt::format("{}: {}", name(at), message)};
}

Diagnostics Report::take() {
  if (errors_.size() > kMostErrors) errors_.resize(kMostErrors);
  return std::move(errors_);
}

}  // namespace verifier
}  // namespace rehearse
