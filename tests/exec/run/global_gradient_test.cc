// One rank's gradient of a whole step, beside training, is the one that training finds.
#include "exec/run/global_gradient.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::difference;
using testing::executable;
using testing::train_locally;

constexpr double kRate = 0.5;

// (before - after) / rate: the gradient of a plain step.
exec::Weights stepped_along(const exec::Weights& before, const exec::Weights& after) {
  exec::Weights gradient = before;
  for (std::size_t p = 0; p < before.size(); ++p) {
    for (std::size_t at = 0; at < before[p].size(); at += sizeof(double)) {
      double x = 0, y = 0;
      std::memcpy(&x, before[p].data() + at, sizeof x);
      std::memcpy(&y, after[p].data() + at, sizeof y);
      x = (x - y) / kRate;
      std::memcpy(gradient[p].data() + at, &x, sizeof x);
    }
  }
  return gradient;
}

// The executor's on one rank, in four micro-batches: the gradients it shows of the first step, and
// what the second one steps along, which is a difference of weights of about 1 and right to 1e-15.
// Dropout draws as it does there.
TEST(GlobalGradient, IsTheGradientOfTraining) {
  const ModelSpec gpt = {"gpt",
                         {{"layers", {2}},
                          {"width", {16}},
                          {"heads", {2}},
                          {"vocabulary", {20}},
                          {"sequence", {6}},
                          {"positions", {6}}}};  // tied: two layers share a parameter
  for (const ModelSpec& model : {testing::small_resnet(), gpt, testing::with_dropout(gpt),
                                 testing::with_dropout(testing::mlp())}) {
    SCOPED_TRACE(model.kind);
    const Plan plan = executable(testing::accumulation(4), 1, model, {.rule = Sgd{}, .lr = kRate});
    const Net net = *whole_net(plan);
    const auto backend = exec::make_backend("reference", plan.training.dtype);
    testing::Batches<double> batches(net, plan.micro_batch_samples);
    const auto one = train_locally(plan, 1), two = train_locally(plan, 2);
    const auto first =
        exec::global_gradient(plan, net, one.first_step->weights, 0, *backend, batches);
    EXPECT_LT(difference(first, one.first_step->gradients), 1e-14);
    const auto second = exec::global_gradient(plan, net, one.weights, 1, *backend, batches);
    EXPECT_LT(difference(second, stepped_along(one.weights, two.weights)), 1e-13);
  }
}

}  // namespace
}  // namespace rehearse
