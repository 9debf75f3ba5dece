#include "exec/run/state_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/base/check.h"
#include "model/base/exact_squares.h"
#include "model/plan/verify.h"

namespace rehearse::exec {

StateOps::StateOps(const Plan& plan, RankId rank, Backend& backend, Arena& arena,
                   Parameters& parameters)
    : plan_(plan),
      program_(program_of(plan, rank)),
      rank_(rank),
      backend_(backend),
      device_(backend.device()),
      arena_(arena),
      parameters_(parameters) {}

void StateOps::run(const Op& op, std::int64_t step) {
  switch (op.kind) {
    case OpKind::accumulate:
      return accumulate(op);
    case OpKind::clear:
      return clear(op);
    case OpKind::sum_squares:
      return sum_squares(op);
    case OpKind::optimizer_step:
      return update(op, step);
    case OpKind::outer_gradient:
      return take_outer_gradient(op);
    case OpKind::outer_step:
      return step_outer(op);
    default:
      REHEARSE_UNREACHABLE("an op that works on no state");
  }
}

void StateOps::accumulate(const Op& op) {
  const Accumulate& it = accumulate_of(op);
  const std::int64_t element = state_sizes(plan_.training).gradient;
  const auto at = [&](const Operand& operand) {
    const std::int64_t begin =
        holds_range(program_.buffers[operand.buffer.index()].kind) ? 0 : it.begin;
    return arena_.at(operand.buffer).data() + begin * element;
  };
  backend_.add(at(op.operands[0]), at(op.operands[1]), it.end - it.begin);
  if (it.divisor != 1) backend_.divide(at(op.operands[0]), it.end - it.begin, it.divisor);
}

void StateOps::clear(const Op& op) {
  const Clear& it = clear_of(op);
  const std::int64_t element = state_sizes(plan_.training).gradient;
  // All bits 0 are 0 in every type.
  device_.fill(arena_.at(op.operands[0].buffer).data() + it.begin * element, std::byte{},
               static_cast<std::size_t>((it.end - it.begin) * element));
}

namespace {

// Numbers that are brought to double at a time.
constexpr std::int64_t kSquared = 1 << 12;

void add_squares(ExactSquares& sum, Backend& backend, const std::byte* numbers, std::int64_t n,
                 std::int64_t element) {
  for (std::int64_t begin = 0; begin < n; begin += kSquared) {
    for (const double number :
         backend.load(numbers + begin * element, std::min(kSquared, n - begin)))
      sum.add(number);
  }
}

}  // namespace

void StateOps::sum_squares(const Op& op) {
  const bool is_exact = plan_.training.reduction == Reduction::exact;
  ExactSquares exact(plan_.training.dtype);
  std::vector<Backend::Piece> pieces;
  for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
    for (const auto& [gradients, elements] : parameters_.squared(ParameterClassId(c))) {
      if (is_exact) {
        add_squares(exact, backend_, gradients, elements, state_sizes(plan_.training).gradient);
      } else {
        pieces.push_back({gradients, elements});
      }
    }
  }
  const std::vector<double> numbers =
      is_exact ? exact.digits() : std::vector{backend_.sum_of_squares_of(pieces)};
  std::memcpy(on_host(op.operands.front().buffer).data(), numbers.data(),
              numbers.size() * sizeof(double));
}

void StateOps::note_norm(const Op& op) {
  const std::span<const std::byte> bytes = on_host(op.operands.front().buffer);
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  const bool is_exact = plan_.training.reduction == Reduction::exact;
  gradient_norm_ =
      std::sqrt(is_exact ? ExactSquares::value(plan_.training.dtype, numbers) : numbers.front());
}

void StateOps::update(const Op& op, std::int64_t step) {
  const ParameterClassId c = optimize_of(op).parameter_class;
  const Training& training = plan_.training;
  const double lr = learning_rate(training.optimizer, step, training.steps);
  const double factor = gradient_norm_ ? clip_factor(training.optimizer, *gradient_norm_) : 1;
  for (const Parameters::Part& part : parameters_.parts(c)) {
    backend_.step({training.optimizer, lr, step, part.decays, factor}, part.weights, part.gradients,
                  part.state, part.elements);
  }
}

void StateOps::take_outer_gradient(const Op& op) {
  for (const Parameters::Part& part : parameters_.parts(optimize_of(op).parameter_class))
    backend_.outer_gradient(part.outer, part.gradients, part.elements);
}

void StateOps::step_outer(const Op& op) {
  for (const Parameters::Part& part : parameters_.parts(optimize_of(op).parameter_class))
    backend_.outer_step(plan_.outer, part.outer, part.gradients, part.elements);
}

// Of one buffer all of the value, of two a rank's rows and all rows, or the other way about.
CollectiveMemory StateOps::values_of(const Op& op) {
  const Collective& collective = collective_of(op);
  CollectiveMemory memory;
  std::vector<std::span<std::byte>> values;
  for (const Operand& operand : op.operands) {
    const bool is_room = program_.buffers[operand.buffer.index()].kind == BufferKind::communication;
    is_room ? memory.room = arena_.at(operand.buffer)
            : values.emplace_back(arena_.at(operand.buffer));
  }
  if (op.kind == OpKind::all_gather) std::reverse(values.begin(), values.end());
  memory.values = values.front();
  if (values.size() > 1) memory.shard = values.back();
  memory.of_statistics = collective.element_bytes != backend_.sizes().activation_bytes;
  return memory;
}

CollectiveMemory StateOps::squares_of(const Op& op) {
  CollectiveMemory memory;
  for (const Operand& operand : op.operands) {
    const BufferKind kind = program_.buffers[operand.buffer.index()].kind;
    if (kind == BufferKind::communication) memory.room = on_host(operand.buffer);
    if (kind == BufferKind::squares) memory.values = on_host(operand.buffer);
  }
  return memory;
}

// Where the host works on a buffer that no kernel ever sees.
std::span<std::byte> StateOps::on_host(BufferId buffer) {
  if (device_.shares_host_memory()) return arena_.at(buffer);
  std::vector<std::byte>& bytes = squares_[buffer];
  bytes.resize(arena_.at(buffer).size());
  return bytes;
}

CollectiveMemory StateOps::memory_of(const Op& op) {
  if (is_of_squares(program_, op)) return squares_of(op);
  const Collective& collective = collective_of(op);
  if (!collective.parameter_class) return values_of(op);
  CollectiveMemory memory;
  for (const Operand& operand : op.operands) {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const std::span<std::byte> at = arena_.at(operand.buffer);
    if (buffer.kind == BufferKind::communication) memory.room = at;
    // Ranges of a class have a buffer of their own, or are a part of the flat one.
    if (holds_range(buffer.kind)) memory.values = at;
  }
  const ParameterClassId c = *collective.parameter_class;
  const bool of_weights = op.kind == OpKind::all_gather || op.kind == OpKind::broadcast;
  std::byte* flat = of_weights ? parameters_.flat_weights(c) : parameters_.flat_gradients(c);
  if (memory.values.empty()) {
    const auto bytes =
        static_cast<std::size_t>((collective.end - collective.begin) * collective.element_bytes);
    memory.values = std::span(flat + collective.begin * collective.element_bytes, bytes);
    return memory;
  }
  const ParameterClass& held = program_.parameter_classes[c.index()];
  const Group& group = group_of(plan_, rank_, op);
  const ElementRange chunk =
      chunk_of(collective.begin, collective.end, group.members.size(), member_number(group, rank_));
  memory.shard = std::span(flat + shard_offset(held, collective.begin) * collective.element_bytes,
                           static_cast<std::size_t>(chunk.size() * collective.element_bytes));
  memory.adds_to_shard = op.operands[1].access == Access::update;
  return memory;
}

}  // namespace rehearse::exec
