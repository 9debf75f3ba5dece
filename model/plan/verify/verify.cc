#include "model/plan/verify.h"

#include "model/plan/verify/report.h"

namespace rehearse {

namespace {

// After the structure, of which whole_net() has to know that it is sound.
Status verify_rest(verifier::Report& report, const Plan& plan, const Net& net) {
  using namespace verifier;
  check_net(report, net);
  if (!report.ok()) return report.take();
  const RankClasses classes = classify(plan);
  const Pairs pairs = check_pairing(report, classes);
  if (!report.ok()) return report.take();
  check_meaning(report, net, classes);
  if (!report.ok()) return report.take();
  check_buffers(report, net);
  if (!report.ok()) return report.take();
  check_messages(report, classes, pairs);
  if (!report.ok()) return report.take();
  check_collective_order(report, classes);
  if (!report.ok()) return report.take();
  dry_run(report, classes, pairs);
  if (!report.ok()) return report.take();
  return success();
}

}  // namespace

Status verify(const Plan& plan, const PlanPlaces* places) {
  verifier::Report report(plan, places);
  verifier::check_structure(report);
  if (!report.ok()) return report.take();
  const Result<Net> net = whole_net(plan);
  if (!net) return net.errors();
  return verify_rest(report, plan, *net);
}

Status verify(const Plan& plan, const Net& net) {
  verifier::Report report(plan, nullptr);
  verifier::check_structure(report);
  if (!report.ok()) return report.take();
  return verify_rest(report, plan, net);
}

}  // namespace rehearse
