#include "tools/sweep/methods.h"

#include <fmt/format.h>

#include <map>

#include "model/base/text.h"
#include "tools/predict/estimates.h"
#include "tools/predict/predict.h"

namespace rehearse::sweep {
namespace {

class Simulating : public Evaluator {
 public:
  Result<Evaluated> evaluate(const Scenario& scenario, const ScenarioStrategy& strategy,
                             const std::string&) override {
    const Result<Prediction> prediction = predict(scenario, strategy);
    if (!prediction) return prediction.errors();
    Evaluated evaluated{figures_of(prediction->summary), ""};
    if (!prediction->summary.fits.value_or(true))
      evaluated.does_not_fit = why(scenario, prediction->summary);
    return evaluated;
  }

 private:
  static std::string why(const Scenario& scenario, const StrategySummary& summary) {
    const ClusterSpec& cluster = scenario.cluster;
    const std::string peak = summary.memory ? human(summary.memory->peak) : "more";
    if (!cluster.ranks.empty()) return fmt::format("a rank needs {}, more than it has", peak);
    if (cluster.device.kind == DeviceKind::cpu)
      return fmt::format("ranks need up to {} each, a node has {}", peak,
                         human(cluster.device.memory));
    return fmt::format("a rank needs {}, the device has {}", peak, human(cluster.device.memory));
  }
};

template <Contention contention>
class Estimating : public Evaluator {
 public:
  Result<Evaluated> evaluate(const Scenario& scenario, const ScenarioStrategy& strategy,
                             const std::string& setting) override {
    Result<ScenarioEstimator>& estimator = estimator_of(scenario, setting);
    if (!estimator) return estimator.errors();
    const StrategyEstimate estimate = (*estimator)(strategy, contention);
    if (!estimate.estimate.ok()) return error_at(strategy.where, estimate.reason);
    const std::int64_t devices = scenario.cluster.nodes * scenario.cluster.devices_per_node;
    return Evaluated{figures_of(estimate, devices), estimate.reason};
  }

 private:
  // Points come in an order in which settings come back soon or not at all.
  Result<ScenarioEstimator>& estimator_of(const Scenario& scenario, const std::string& setting) {
    constexpr std::size_t kMostKept = 2;
    const auto known = estimators_.find(setting);
    if (known != estimators_.end()) return known->second;
    if (estimators_.size() == kMostKept) estimators_.clear();
    return estimators_.emplace(setting, ScenarioEstimator::make(scenario)).first->second;
  }

  std::map<std::string, Result<ScenarioEstimator>> estimators_;
};

template <class Way>
std::unique_ptr<Evaluator> make() {
  return std::make_unique<Way>();
}

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> all = {
      {"estimate", make<Estimating<Contention::marked>>, true},
      {"estimate-played", make<Estimating<Contention::played>>, true},
      {"simulate", make<Simulating>},
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

bool is_estimate(std::string_view method) {
  const Result<Method> found = find_method(method);
  return found && found->is_estimate;
}

}  // namespace rehearse::sweep
