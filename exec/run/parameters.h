// Where a rank's parameters, gradients and optimizer state lie.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "exec/backend.h"
#include "exec/run/arena.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// One parameter inside its class.
struct ParameterPlace {
  ParameterClassId parameter_class;
  std::int64_t offset = 0;  // elements
  std::int64_t elements = 0;
};

class Parameters {
 public:
  Parameters(const Plan& plan, RankId rank, const Net& net, const Arena& arena);

  const std::map<ParameterId, ParameterPlace>& places() const { return places_; }
  // The persistent buffers: all of the class, or this rank's shard.
  std::byte* flat_weights(ParameterClassId c) const { return flat_[c.index()].weights; }
  std::byte* flat_gradients(ParameterClassId c) const { return flat_[c.index()].gradients; }

  // What this rank updates of a class (nothing of what it only reads), piece by piece: neighbours
  // that decay alike are one.
  struct Part {
    std::byte *weights, *gradients;
    OptimizerState state;
    OuterPiece outer;  // the same piece, for those who come together after local steps
    std::int64_t elements = 0;
    bool decays = false;
  };
  const std::vector<Part>& parts(ParameterClassId c) const { return parts_[c.index()]; }

  // Gradients that this rank answers for in their norm, piece by piece (SumSquares).
  std::vector<std::pair<const std::byte*, std::int64_t>> squared(ParameterClassId c) const;

  // Values drawn from the seed and the parameter's number: the same on every holder. A master copy
  // has them in fp32, the weights are those rounded; the anchor of an outer optimizer is either.
  void initialize(Backend& backend, std::uint64_t seed) const;

 private:
  struct Flat {
    std::byte *weights = nullptr, *gradients = nullptr;
    OptimizerState state;  // arrays one after the other: moments, then the master copy
    std::byte *anchor = nullptr, *outer_momentum = nullptr;
  };
  // Elements [begin, end) of a class that this rank updates; shard: where they begin in its shard.
  struct Own {
    std::int64_t begin = 0, end = 0, shard = 0;
  };
  void keep(Backend& backend, const ParameterPlace& place, std::int64_t first,
            const std::vector<double>& values) const;
  template <class Store>
  void keep_held(const ParameterPlace& place, std::int64_t first, const std::vector<double>& values,
                 Sharding level, const Store& store) const;
  OptimizerState arrays_in(std::byte* memory, const ParameterClass& held) const;
  std::vector<Own> own_ranges(ParameterClassId c) const;
  void cut_parts(ParameterClassId c);
  Part part_at(ParameterClassId c, const Own& own, std::int64_t begin, std::int64_t end,
               bool decays) const;
  const ParameterClass& held(ParameterClassId c) const {
    return program_.parameter_classes[c.index()];
  }

  const Plan& plan_;
  const RankId rank_;
  const RankProgram& program_;
  const Net& net_;
  StateSizes sizes_;
  bool has_master_;
  std::map<ParameterId, ParameterPlace> places_;
  std::vector<Flat> flat_;                // by class
  std::vector<std::vector<Part>> parts_;  // by class
};

}  // namespace rehearse::exec
