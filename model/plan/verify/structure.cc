#include <fmt/ranges.h>

#include <algorithm>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

void check_mesh(Report& report) {
  const Mesh& mesh = report.plan.mesh;
  const auto bound = static_cast<std::int64_t>(report.plan.ranks.size());
  std::vector<std::int64_t> sizes;
  std::int64_t ranks = 1;  // as far as they are no more than are bound: four sizes may overflow
  for (const Axis axis : mesh.order) {
    sizes.push_back(mesh.size(axis));
    if (ranks <= bound) ranks *= std::min(sizes.back(), bound + 1);
  }
  if (ranks == bound && ranks > 0) return;
  report.add_mesh(
      fmt::format("the mesh has {} ranks, the plan binds {}", fmt::join(sizes, " x "), bound));
}

void check_samples(Report& report) {
  const Plan& plan = report.plan;
  if (plan.micro_batch_samples >= 1 && plan.micro_batch_samples <= plan.training.batch) return;
  report.add_micro_batch(fmt::format("{} samples per micro-batch of a batch of {}",
                                     plan.micro_batch_samples, plan.training.batch));
}

}  // namespace

void check_structure(Report& report) {
  check_mesh(report);
  check_local_steps(report);
  check_depth(report);
  check_samples(report);
  check_group_members(report);
  for (std::size_t p = 0; p < report.plan.programs.size(); ++p) {
    check_program(report, p);
    check_ops(report, p);
  }
  check_ranks(report);
}

}  // namespace rehearse::verifier
