// Where a rank's parameters, gradients and optimizer state lie.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/run/arena.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// One parameter inside its class's flat buffers.
struct ParameterPlace {
  ParameterClassId parameter_class;
  std::int64_t offset = 0;  // elements
  std::int64_t elements = 0;
};

class Parameters {
 public:
  Parameters(const Plan& plan, const RankProgram& program, const Net& net, const Arena& arena);

  const std::map<ParameterId, ParameterPlace>& places() const { return places_; }
  void* weights(ParameterId parameter) const;
  void* gradients(ParameterId parameter) const;
  // From an element of the class on; state is null where the optimizer keeps none.
  std::byte* weights(ParameterClassId c, std::int64_t element = 0) const;
  std::byte* gradients(ParameterClassId c, std::int64_t element = 0) const;
  std::byte* optimizer_state(ParameterClassId c, std::int64_t element = 0) const;

  // Values drawn from the seed and the parameter's number: the same on every holder.
  void initialize(Backend& backend, std::uint64_t seed) const;

 private:
  struct Flat {
    std::byte *weights = nullptr, *gradients = nullptr, *state = nullptr;
  };
  const Net& net_;
  StateSizes sizes_;
  std::map<ParameterId, ParameterPlace> places_;
  std::vector<Flat> flat_;  // by class
};

// The initial values of a parameter.
std::vector<double> initial_values(const Parameter& parameter, ParameterId id, std::uint64_t seed);

}  // namespace rehearse::exec
