// Networks that together have all kernel classes and take little time.
#pragma once

#include <utility>
#include <vector>

#include "exec/measure/measure.h"
#include "model/net/model_spec.h"

namespace rehearse::testing {

inline std::vector<exec::MeasuredNet> small_networks() {
  const ModelSpec resnet{"resnet20", {{"image", {8, 8, 1}}, {"classes", {10}}}};
  const ModelSpec gpt{"gpt",
                      {{"layers", {1}},
                       {"width", {16}},
                       {"heads", {2}},
                       {"vocabulary", {32}},
                       {"sequence", {8}},
                       {"positions", {8}}}};
  return {{build_net(resnet).value(), 2},
          {build_net(resnet).value(), 8},
          {build_net(gpt).value(), 1},
          {build_net(gpt).value(), 4},
          {build_net(gpt).value(), 16}};
}

// These networks, in a short time that is never used up, however busy the machine is.
inline exec::MeasureOptions in_short(Seconds budget, std::vector<exec::MeasuredNet> networks) {
  exec::MeasureOptions options;
  options.budget = budget;
  options.networks = std::move(networks);
  options.now = [] { return Seconds{}; };
  return options;
}

}  // namespace rehearse::testing
