#include <set>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// A width needs one of its units on every rank, or its sum would have no terms.
void check_widths_held(Report& report, std::size_t program, const Net& net) {
  if (report.plan.masking == Masking::backward) return;  // all of it runs everywhere
  const std::vector<bool>& holds = report.plan.programs[program].subnetwork.holds;
  std::set<std::size_t> widths, held;
  for (std::size_t u = 0; u < net.units.size(); ++u) {
    if (!net.units[u].width) continue;
    widths.insert(*net.units[u].width);
    if (holds[u]) held.insert(*net.units[u].width);
  }
  if (held.size() == widths.size()) return;
  report.add_program(program, fmt::format("it holds units of {} of the {} widths: one of each is "
                                          "needed",
                                          held.size(), widths.size()));
}

}  // namespace

void check_net(Report& report, const Net& net) {
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    const RankProgram& program = report.plan.programs[p];
    if (program.stages.back().end > end_segment(net)) {
      report.add_program(p, fmt::format("segments up to {}, the network has {}",
                                        program.stages.back().end.value(), net.segments.size()));
    }
    if (program.subnetwork.holds.size() != net.units.size()) {
      report.add_program(p, fmt::format("it describes {} units, the network has {}",
                                        program.subnetwork.holds.size(), net.units.size()));
    } else {
      check_widths_held(report, p, net);
    }
    for (const Buffer& buffer : program.buffers) {
      if (!buffer.value || buffer.value->index() < net.values.size()) continue;
      report.add_program(p, fmt::format("a buffer of value {}, the network has {}",
                                        buffer.value->value(), net.values.size()));
    }
    for (const ParameterClass& held : program.parameter_classes) {
      for (const ParameterId parameter : held.parameters) {
        if (parameter.index() < net.parameters.size()) continue;
        report.add_program(p, fmt::format("parameter {}, the network has {}", parameter.value(),
                                          net.parameters.size()));
      }
    }
  }
}

}  // namespace rehearse::verifier
