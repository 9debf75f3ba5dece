// Where a rank's parameters, gradients and optimizer state lie.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
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

// All that a rank has of one parameter that is not sharded.
struct ParameterState {
  // Arrays in this order: weights, two moments, master copy, anchor and momentum of an outer
  // optimizer.
  static constexpr std::size_t kArrays = 6, kWeights = 0, kMaster = 3, kAnchor = 4;
  std::byte* weights = nullptr;
  OptimizerState state;
  OuterPiece outer;
  std::int64_t weight_bytes = 0, state_bytes = 0;  // of one array

  // Empty where there is none.
  std::array<std::span<std::byte>, kArrays> arrays() const;
};

class Parameters {
 public:
  Parameters(const Plan& plan, RankId rank, const Net& net, const Arena& arena);

  // Whose memory it all lies in.
  KernelDevice& device() const { return device_; }
  const std::map<ParameterId, ParameterPlace>& places() const { return places_; }
  // The persistent buffers: all of the class, or this rank's shard.
  std::byte* flat_weights(ParameterClassId c) const { return flat_[c.index()].weights; }
  std::byte* flat_gradients(ParameterClassId c) const { return flat_[c.index()].gradients; }

  ParameterState state_of(ParameterId id) const;

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
  void reset_moments() const;  // of the optimizer: an outer one's stays

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
  void clear(void* array, ParameterClassId c) const;
  OptimizerState arrays_in(std::byte* memory, const ParameterClass& held) const;
  std::vector<Own> own_ranges(ParameterClassId c) const;
  std::vector<std::pair<std::int64_t, std::int64_t>> answered_for(ParameterClassId c,
                                                                  const Own& own) const;
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
  KernelDevice& device_;
  StateSizes sizes_;
  bool has_master_;
  std::map<ParameterId, ParameterPlace> places_;
  std::vector<Flat> flat_;                // by class
  std::vector<std::vector<Part>> parts_;  // by class
};

}  // namespace rehearse::exec
