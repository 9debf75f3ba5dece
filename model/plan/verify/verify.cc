#include "model/plan/verify.h"

#include "model/plan/verify/report.h"

namespace rehearse {

Status verify(const Plan& plan, const PlanPlaces* places) {
  using namespace verifier;
  Report report(plan, places);
  check_structure(report);
  if (!report.ok()) return report.take();
  const Result<Net> net = whole_net(plan);
  if (!net) return net.errors();
  check_net(report, *net);
  if (!report.ok()) return report.take();
  const RankClasses classes = classify(plan);
  const Pairs pairs = check_pairing(report, classes);
  if (!report.ok()) return report.take();
  check_meaning(report, *net, classes);
  if (!report.ok()) return report.take();
  check_buffers(report, *net);
  if (!report.ok()) return report.take();
  check_messages(report, classes, pairs);
  if (!report.ok()) return report.take();
  check_collective_order(report, classes);
  if (!report.ok()) return report.take();
  dry_run(report, classes, pairs);
  if (!report.ok()) return report.take();
  return success();
}

}  // namespace rehearse
