// Kernels: what runs the steps of a lowered op.
//
// A backend prepares a kernel once for its shapes and then runs it on pointers. Tensors are dense,
// samples first, channels last, in the backend's real type; losses and auxiliaries, which are
// statistics, in fp32 at least; indices are int32. A kernel is called by one thread, which may have
// others help, and is deterministic: the same inputs give the same bits on as many threads, and on
// any number of them where reductions are exact.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "exec/kernel_device.h"
#include "model/base/units.h"
#include "model/net/lowering.h"
#include "model/plan/training.h"

namespace rehearse::exec {

// What a kernel is for. Shapes are per sample.
struct KernelRequest {
  KernelKind kind;
  LayerSpec layer;  // unused by accumulate and copy
  std::vector<Shape> inputs;
  Shape output;
  std::int64_t samples = 1;
  std::int64_t elements = 0;               // accumulate, copy: of the whole micro-batch
  std::vector<bool> wants_input_gradient;  // per input
};

// On what the random numbers of a launch depend (dropout), and on nothing else: whoever computes a
// sample of a step, in whatever micro-batch, forward or backward, draws the same.
struct Draws {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  LayerId layer;                  // its number in the whole network
  std::int64_t first_sample = 0;  // of the micro-batch, in the global batch
};

// Where its operands are; which of them are set follows from the kind (model/net/lowering.h).
// output may equal inputs[0], and input_gradients[0] output_gradient, only where the layer's facts
// say that it works in place.
struct KernelArguments {
  std::vector<const void*> inputs;
  void* output = nullptr;  // written by forward, read by backward
  std::vector<void*> auxiliaries;
  const void* output_gradient = nullptr;  // null: the loss, whose gradient is loss_scale
  std::vector<void*> input_gradients;     // null where none is wanted
  std::vector<const void*> parameters;
  std::vector<void*> parameter_gradients;    // null where the layer is frozen
  bool adds_to_parameter_gradients = false;  // or overwrites them
  double loss_scale = 1;                     // gradient of each label's loss
  const void* left = nullptr;                // accumulate: sum = left + right; copy: sum = left
  const void* right = nullptr;
  void* sum = nullptr;
  Draws draws;
};

// What one step of an optimizer does to a piece of the weights.
struct Update {
  const Optimizer& optimizer;
  double lr = 0;          // of this step
  std::int64_t step = 0;  // counted from 0
  bool decays = false;    // whether weight decay applies to the piece
  double factor = 1;      // of the gradients, where they are clipped
};
// What the optimizer keeps of the weights, in the type of statistics. Null: it keeps none.
struct OptimizerState {
  std::array<void*, 2> moments = {};  // running means, first and second
  void* master = nullptr;             // the weights before they are rounded to a smaller real type
};

// A piece of weights that their holders have trained each for itself, where they come together
// (OuterOptimizer), and what is kept of it for that; null: nothing is.
struct OuterPiece {
  void* parameters = nullptr;
  void* master = nullptr;  // as in OptimizerState
  void* anchor = nullptr;  // the outer optimizer's, in the type of statistics; null: there is none
  void* momentum = nullptr;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelArguments& arguments) = 0;
  // Which of the backend's ways was chosen for it, where it has several; else empty.
  virtual std::string_view implementation() const { return {}; }
};

// Two steps in one kernel, the second on what the first writes. An output is written all the same:
// the backward pass may need it. A gradient between them is not.
class KernelPair {
 public:
  virtual ~KernelPair() = default;
  virtual void run(const KernelArguments& first, const KernelArguments& second) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual DataType type() const = 0;  // of reals
  virtual ElementSizes sizes() const = 0;
  // Whose memory all operands lie in, unless said otherwise, and whose queues all work goes
  // through.
  virtual KernelDevice& device() { return host_device(); }

  // Every kind of layer and step is served; where the library has none, by the reference.
  virtual std::unique_ptr<Kernel> prepare(const KernelRequest& request) = 0;
  // Of two steps that follow each other so (feeds(), exec/bind.h). Null: it has no such kernel, or
  // was not asked to use it.
  virtual std::unique_ptr<KernelPair> prepare_pair(const KernelRequest& /*first*/,
                                                   const KernelRequest& /*second*/) {
    return nullptr;
  }

  // Elementwise work on flat buffers of n elements of the real type.
  virtual void add(void* into, const void* from, std::int64_t n) = 0;             // into += from
  virtual void add_statistics(void* into, const void* from, std::int64_t n) = 0;  // of that type
  virtual void divide(void* values, std::int64_t n, std::int64_t by) = 0;         // values /= by
  virtual bool all_finite(const void* values, std::int64_t n) = 0;  // neither infinite nor NaN
  virtual double sum_of_squares(const void* values, std::int64_t n) = 0;  // in double
  // The sum of several pieces' sums, in their order: a device is waited for once.
  struct Piece {
    const void* values;
    std::int64_t n;
  };
  virtual double sum_of_squares_of(std::span<const Piece> pieces) {
    double sum = 0;
    for (const Piece& piece : pieces)
      sum += sum_of_squares(piece.values, piece.n);
    return sum;
  }
  // One optimizer step of n elements; moments_of(update.optimizer) arrays of them are moved along,
  // and so is the master copy, which the parameters are rounded from.
  virtual void step(const Update& update, void* parameters, const void* gradients,
                    const OptimizerState& state, std::int64_t n) = 0;
  // Of n elements: what is to be averaged over their holders, anchor - weights, or without an
  // anchor the weights; and how the weights follow from the average: as `outer` says, or are it.
  virtual void outer_gradient(const OuterPiece& piece, void* gradients, std::int64_t n) = 0;
  virtual void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                          const void* averages, std::int64_t n) = 0;
  // Of rows of one number per channel: y = factors x + offsets, rounded once. What a norm with
  // known statistics does.
  virtual void scale_channels(void* y, const void* x, const std::vector<double>& factors,
                              const std::vector<double>& offsets, std::int64_t rows) = 0;
  // Conversion between the real type and double, for initial weights, checkpoints and tests.
  virtual void store(void* into, const std::vector<double>& values) = 0;
  virtual std::vector<double> load(const void* from, std::int64_t n) = 0;
  // The same of statistics.
  virtual void store_statistics(void* into, const std::vector<double>& values) = 0;
  virtual std::vector<double> load_statistics(const void* from, std::int64_t n) = 0;

  // Bytes the libraries took for their own work space so far (never in the tensor arena).
  virtual Bytes workspace() const = 0;
};

// The slow twin: plain loops, the oracle of every other backend.
std::unique_ptr<Backend> make_reference_backend(DataType type);  // any but fp16
struct BackendOptions {
  int threads = 1;  // of a rank; the reference always takes one
  Reduction reduction = Reduction::fast;
};
// oneDNN, in one of its types: fp32, and bf16 where the processor multiplies that.
const std::vector<DataType>& onednn_types();
std::unique_ptr<Backend> make_onednn_backend(const BackendOptions& options = {},
                                             DataType type = DataType::fp32);

// "onednn", "reference": sorted.
const std::vector<std::string_view>& backend_names();
// The types that a backend computes in on this machine, sorted by name.
const std::vector<DataType>& backend_types(std::string_view name);
std::unique_ptr<Backend> make_backend(std::string_view name, DataType type = DataType::fp32,
                                      const BackendOptions& options = {});

}  // namespace rehearse::exec
