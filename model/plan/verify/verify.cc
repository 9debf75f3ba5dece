#include "model/plan/verify.h"

#include "model/plan/verify/report.h"

namespace rehearse {

Status verify(const Plan& plan, const PlanPlaces* places) {
  using namespace verifier;
  Report report(plan, places);
  check_structure(report);
  if (!report.ok()) return report.take();
  const Result<Net> net = build_net(plan.model);
  if (!net) return net.errors();
  using Pass = void (*)(Report&, const Net&);
  constexpr Pass kPasses[] = {
      check_net,     [](Report& r, const Net&) { check_pairing(r); }, check_meaning,
      check_buffers, [](Report& r, const Net&) { dry_run(r); },
  };
  for (const Pass pass : kPasses) {
    pass(report, *net);
    if (!report.ok()) return report.take();
  }
  return success();
}

}  // namespace rehearse
