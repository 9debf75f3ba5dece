#include "tools/sweep/methods.h"

#include <fmt/format.h>

#include "model/base/text.h"
#include "tools/predict/predict.h"

namespace rehearse::sweep {
namespace {

Result<StrategySummary> simulate(const Scenario& scenario, const ScenarioStrategy& strategy) {
  Result<Prediction> prediction = predict(scenario, strategy);
  if (!prediction) return prediction.errors();
  return std::move(prediction->summary);
}

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> all = {
      {"simulate", simulate},
  };
  return all;
}

Result<Method> find_method(std::string_view name) {
  std::vector<std::string> names;
  for (const Method& method : methods()) {
    if (method.name == name) return method;
    names.emplace_back(method.name);
  }
  return error(fmt::format("--method is one of {}, not '{}'", join(names, ", "), name));
}

}  // namespace rehearse::sweep
