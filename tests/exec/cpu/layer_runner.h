// Runs one layer on one backend as the executor does: its operands are exactly what the layer's
// facts say is kept, everything else is null.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "exec/backend.h"

namespace rehearse::exec {

// Memory of the backend's device, of reals (of its type), statistics or indices, aligned as the
// arena's tensors are.
class Tensor {
 public:
  Tensor() = default;
  Tensor(Backend& backend, const std::vector<double>& values);
  static Tensor of_statistics(Backend& backend, const std::vector<double>& values);
  static Tensor of_indices(Backend& backend, const std::vector<double>& values);
  // n reals; all bits set, which are NaNs: what is read before it is written shows.
  static Tensor poisoned(Backend& backend, std::int64_t n);
  static Tensor poisoned_statistics(Backend& backend, std::int64_t n);
  static Tensor poisoned(Backend& backend, Bytes size);

  std::byte* data() const;
  std::vector<double> load(Backend& backend) const;

 private:
  Tensor(Backend& backend, Bytes size);
  std::shared_ptr<DeviceMemory> memory_;
  std::int64_t size_ = 0;  // in reals or statistics, where they are
  bool has_statistics_ = false;
};

struct LayerCase {
  std::string name;
  LayerSpec layer;
  std::vector<Shape> inputs;
  std::int64_t samples;
  friend void PrintTo(const LayerCase& layer, std::ostream* out) { *out << layer.name; }
};

// Several shapes of every kind of layer.
const std::vector<LayerCase>& layer_cases();
// The shapes that training runs, beside these small odd ones.
std::vector<LayerCase> training_cases();

// The numbers of one layer, inputs and parameters; drawn from the seed.
struct LayerData {
  std::vector<std::vector<double>> inputs, parameters;
  std::vector<double> output_gradient;
};
LayerData draw(const LayerCase& layer, std::uint64_t seed);
// The same, and such a list, in numbers that bf16 has.
LayerData rounded(LayerData data);
void round_to_bf16(std::vector<double>& values);
// Whether input i holds token numbers or labels.
bool is_index(const LayerSpec& layer, std::size_t input);
LayerFacts facts_of(const LayerCase& layer);

struct LayerOutcome {
  std::vector<double> output;
  std::vector<std::vector<double>> auxiliaries, input_gradients, parameter_gradients;
};

struct LayerOptions {
  bool in_place = false;  // wherever the facts allow it
  bool wants_input_gradients = true;
  std::vector<std::vector<double>> gradients{};  // what parameter gradients are added to, if any
  Draws draws{};
  bool frozen = false;  // parameter gradients are not wanted, nor what only they would read kept
};

LayerOutcome run_layer(Backend& backend, const LayerCase& layer, const LayerData& data,
                       const LayerOptions& options = {});

}  // namespace rehearse::exec
