#include "model/plan/own_net.h"
#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Bytes of what a program's buffers hold.
class Contents {
 public:
  Contents(const Plan& plan, const RankProgram& program, const Net& net)
      : plan_(plan),
        program_(program),
        net_(net),
        sizes_(element_sizes(plan.training)),
        state_(state_sizes(plan.training)) {}

  // None: the op that uses it says how large it is.
  std::optional<Bytes> size_of(const Buffer& buffer) const {
    switch (buffer.kind) {
      case BufferKind::parameters:
        return flat(buffer, state_.parameter, Sharding::parameters);
      case BufferKind::gradients:
        return flat(buffer, state_.gradient, Sharding::gradients);
      case BufferKind::optimizer_state:
        return flat(buffer, state_.optimizer, Sharding::optimizer_state);
      case BufferKind::outer_state:
        return flat(buffer, outer_state_bytes(plan_.training, plan_.outer),
                    Sharding::optimizer_state);
      case BufferKind::gathered:
        return Bytes::bytes((buffer.end - buffer.begin) * state_.parameter);
      case BufferKind::unreduced:
        return Bytes::bytes((buffer.end - buffer.begin) * state_.gradient);
      case BufferKind::value:
      case BufferKind::gradient:
        return rehearse::size_of(net_, *buffer.value, plan_.micro_batch_samples, sizes_);
      case BufferKind::squares:
        return Bytes::bytes(square_numbers(plan_.training) *
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

 private:
  // All of a class, or a holder's shard of it where this much is sharded.
  Bytes flat(const Buffer& buffer, std::int64_t element, Sharding level) const {
    const ParameterClass& c = program_.parameter_classes[buffer.parameter_class->index()];
    const std::int64_t elements = c.sharding >= level ? shard_elements(c) : c.elements;
    return Bytes::bytes(elements * element);
  }

  const Plan& plan_;
  const RankProgram& program_;
  const Net& net_;
  const ElementSizes sizes_;
  const StateSizes state_;
};

void check_sizes(Report& report, const Net& net, std::size_t number) {
  const RankProgram& program = report.plan.programs[number];
  const Contents contents(report.plan, program, net);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const std::optional<Bytes> right = contents.size_of(program.buffers[b]);
    if (!right || *right == program.buffers[b].size) continue;
    report.add_program(number, fmt::format("buffer {} has {} bytes, its content {}", b,
                                           program.buffers[b].size.bytes(), right->bytes()));
  }
}

}  // namespace

void check_buffers(Report& report, const Net& net) {
  const Plan& plan = report.plan;
  for (std::size_t p = 0; p < plan.programs.size(); ++p) {
    check_lifetimes(report, p);
    if (!report.ok()) continue;
    const OwnNet own(plan, net, plan.programs[p]);
    check_sizes(report, *own, p);
    check_operands(report, *own, p);
  }
}

}  // namespace rehearse::verifier
