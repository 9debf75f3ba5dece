#include "model/plan/own_net.h"

namespace rehearse {
namespace {

bool is_all(const Plan& plan, const Net& full, const RankProgram& program) {
  const double scale = program.branch_scale_in_training.value_or(plan.branch_scale_in_training);
  return program.subnetwork == full_subnetwork(full) &&
         (scale == 1 || plan.masking == Masking::backward);
}

}  // namespace

OwnNet::OwnNet(const Plan& plan, const Net& full, const RankProgram& program) : full_(full) {
  if (!is_all(plan, full, program)) own_ = net_of(plan, full, program);
}

}  // namespace rehearse
