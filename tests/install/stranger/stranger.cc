// A project of somebody else's: its own strategy, model and machine, predicted with the libraries.
#include <cstdio>

#include "cost/cost_model.h"
#include "exec/backend.h"
#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "sim/simulate.h"

using namespace rehearse;

int main() {
  const ModelSpec model{"mlp", {{"image", {8, 8, 1}}, {"hidden", {64, 64}}, {"classes", {10}}}};
  Training training;
  training.batch = 64;
  StrategySpec strategy;
  strategy.name = "own";
  strategy.data = 4;
  const Net net = build_net(model).value();
  const Plan plan = build_plan(strategy, model, training, 4, even_costs(net.blocks.size())).value();
  if (!verify(plan)) return 1;

  ClusterSpec spec;
  spec.device.kind = DeviceKind::gpu;
  for (KernelRate& rate : spec.device.kernels)
    rate = {FlopsPerSecond::teraflops_per_second(1), BytesPerSecond::gigabytes_per_second(100),
            Seconds::microseconds(5)};
  spec.nodes = 4;
  spec.network = {NetworkKind::crossbar,
                  {BytesPerSecond::gigabytes_per_second(10), Seconds::microseconds(5)}};
  const Cluster cluster = Cluster::build(spec).value();
  const auto outcome = sim::simulate(plan, cluster, make_prices(plan, net, spec.device), 4).value();
  const Seconds step = break_down(plan, outcome.timeline, 1).step_time;
  std::printf("a step takes %g us, kernels by %s\n", 1e6 * step.seconds(),
              std::string(exec::make_reference_backend(DataType::fp64)->name()).c_str());
  return step > Seconds{} ? 0 : 1;
}
