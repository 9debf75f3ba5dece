#include "exec/run/finite_check.h"

#include <algorithm>
#include <cmath>

#include "model/plan/verify.h"

namespace rehearse::exec {

FiniteCheck::FiniteCheck(const Plan& plan, RankId rank, const Net& net, Backend& backend,
                         const Arena& arena, const ComputeProgram& compute,
                         const Parameters& parameters)
    : plan_(plan),
      program_(program_of(plan, rank)),
      rank_(rank),
      net_(net),
      backend_(backend),
      arena_(arena),
      compute_(compute),
      parameters_(parameters) {}

std::string FiniteCheck::complaint(OpId id) const {
  for (const Operand& operand : program_.ops[id.index()].operands) {
    const Buffer& buffer = program_.buffers[operand.buffer.index()];
    const bool handed_on = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
    if (!handed_on || operand.access == Access::read) continue;
    if (is_finite(*buffer.value, arena_.at(operand.buffer))) continue;
    const auto layer = first_infinite_layer(id);
    return fmt::format(
        "rank {}, {} made {} '{}' infinite or not a number{}{}", rank_.value(),
        describe_op(program_, id), buffer.kind == BufferKind::value ? "value" : "the gradient of",
        net_.values[buffer.value->index()].name,
        layer ? fmt::format(", first in layer '{}'", net_.layers[layer->index()].name) : "",
        weights_are_finite() ? "; its weights are finite: a smaller learning rate may help"
                             : "; its weights are so already, since the update of the step before");
  }
  return {};
}

// Of a forward pass, which is run once more, kernel by kernel: what it reads is still there.
std::optional<LayerId> FiniteCheck::first_infinite_layer(OpId id) const {
  const OpKind kind = program_.ops[id.index()].kind;
  if (kind != OpKind::forward && kind != OpKind::recompute) return std::nullopt;
  const auto is_good = [&](LayerId layer, const KernelArguments& arguments) {
    const ValueId output = net_.layers[layer.index()].output;
    const Bytes size = size_of(net_, output, plan_.micro_batch_samples, backend_.sizes());
    return is_finite(output, {static_cast<const std::byte*>(arguments.output),
                              static_cast<std::size_t>(size.bytes())});
  };
  for (const Launch& launch : compute_.launches(id)) {
    launch.run();
    if (!is_good(launch.layer, launch.arguments)) return launch.layer;
    const auto& second = launch.second;
    if (second && !is_good(second->layer, second->arguments)) return second->layer;
  }
  return std::nullopt;
}

// Losses are few, and statistics.
bool FiniteCheck::is_finite(ValueId value, std::span<const std::byte> at) const {
  const auto size = static_cast<std::int64_t>(at.size());
  const ElementSizes sizes = backend_.sizes();
  if (value != net_.loss) return backend_.all_finite(at.data(), size / sizes.activation_bytes);
  const auto losses = backend_.load_statistics(at.data(), size / sizes.statistic_bytes);
  return std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); });
}

bool FiniteCheck::weights_are_finite() const {
  for (std::size_t c = 0; c < program_.parameter_classes.size(); ++c) {
    for (const Parameters::Part& part : parameters_.parts(ParameterClassId(c))) {
      if (!backend_.all_finite(part.weights, part.elements)) return false;
    }
  }
  return true;
}

}  // namespace rehearse::exec
