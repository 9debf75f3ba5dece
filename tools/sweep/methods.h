// How a point's strategies are evaluated.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/scenario/scenario.h"
#include "tools/sweep/row.h"

namespace rehearse::sweep {

// What a strategy comes to at a point.
struct Evaluated {
  std::vector<Cell> figures;  // figure_names()
  std::string does_not_fit;   // why; empty: it fits
};

// For one thread.
class Evaluator {
 public:
  virtual ~Evaluator() = default;
  // setting: what tells the model, the training and the cluster from others: what is worked out for
  // them is kept for the next strategy that has them. Errors: why the strategy cannot be evaluated;
  // they become the row's reason.
  virtual Result<Evaluated> evaluate(const Scenario& scenario, const ScenarioStrategy& strategy,
                                     const std::string& setting) = 0;
};

struct Method {
  std::string_view name;
  std::unique_ptr<Evaluator> (*make)();
  bool is_estimate = false;  // of memory it says the least that is needed
};

// Sorted by name; a new one is a row here.
const std::vector<Method>& methods();
Result<Method> find_method(std::string_view name);
// Of a method by its name.
bool is_estimate(std::string_view method);

}  // namespace rehearse::sweep
