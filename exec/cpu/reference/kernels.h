// The reference kernels, one specialisation per layer kind; float, double
// and BFloat16 are instantiated.
//
// Layers whose gradients are two products have backward_input and backward_weight, the others one
// backward (LayerFacts::splits_backward). Long sums are taken in double, in a fixed order, and
// rounded where they are stored.
#pragma once

#include "exec/cpu/reference/call.h"

namespace rehearse::exec::reference {

// Added to variances and mean squares, as the libraries' default.
inline constexpr double kNormEpsilon = 1e-5;

template <class Layer, class Real>
struct Kernels;

template <class Real>
struct Kernels<Conv2d, Real> {
  static void forward(const Conv2d& conv, const Call<Real>& call);
  static void backward_input(const Conv2d& conv, const Call<Real>& call);
  static void backward_weight(const Conv2d& conv, const Call<Real>& call);
};

template <class Real>
struct Kernels<Linear, Real> {
  static void forward(const Linear& linear, const Call<Real>& call);
  static void backward_input(const Linear& linear, const Call<Real>& call);
  static void backward_weight(const Linear& linear, const Call<Real>& call);
};

template <class Real>
struct Kernels<BatchNorm, Real> {
  static void forward(const BatchNorm& norm, const Call<Real>& call);
  static void backward(const BatchNorm& norm, const Call<Real>& call);
};

template <class Real>
struct Kernels<LayerNorm, Real> {
  static void forward(const LayerNorm& norm, const Call<Real>& call);
  static void backward(const LayerNorm& norm, const Call<Real>& call);
};

template <class Real>
struct Kernels<RmsNorm, Real> {
  static void forward(const RmsNorm& norm, const Call<Real>& call);
  static void backward(const RmsNorm& norm, const Call<Real>& call);
};

template <class Real>
struct Kernels<Relu, Real> {
  static void forward(const Relu& relu, const Call<Real>& call);
  static void backward(const Relu& relu, const Call<Real>& call);
};

template <class Real>
struct Kernels<Gelu, Real> {
  static void forward(const Gelu& gelu, const Call<Real>& call);
  static void backward(const Gelu& gelu, const Call<Real>& call);
};

template <class Real>
struct Kernels<SwiGlu, Real> {
  static void forward(const SwiGlu& swiglu, const Call<Real>& call);
  static void backward(const SwiGlu& swiglu, const Call<Real>& call);
};

template <class Real>
struct Kernels<Add, Real> {
  static void forward(const Add& add, const Call<Real>& call);
  static void backward(const Add& add, const Call<Real>& call);
};

template <class Real>
struct Kernels<Sum, Real> {
  static void forward(const Sum& sum, const Call<Real>& call);
  static void backward(const Sum& sum, const Call<Real>& call);
};

template <class Real>
struct Kernels<Bias, Real> {
  static void forward(const Bias& bias, const Call<Real>& call);
  static void backward_input(const Bias& bias, const Call<Real>& call);
  static void backward_weight(const Bias& bias, const Call<Real>& call);
};

template <class Real>
struct Kernels<Dropout, Real> {
  static void forward(const Dropout& dropout, const Call<Real>& call);
  static void backward(const Dropout& dropout, const Call<Real>& call);
};

template <class Real>
struct Kernels<GlobalAveragePool, Real> {
  static void forward(const GlobalAveragePool& pool, const Call<Real>& call);
  static void backward(const GlobalAveragePool& pool, const Call<Real>& call);
};

template <class Real>
struct Kernels<MaxPool, Real> {
  static void forward(const MaxPool& pool, const Call<Real>& call);
  static void backward(const MaxPool& pool, const Call<Real>& call);
};

template <class Real>
struct Kernels<Patches, Real> {
  static void forward(const Patches& patches, const Call<Real>& call);
  static void backward(const Patches& patches, const Call<Real>& call);
};

template <class Real>
struct Kernels<ClassToken, Real> {
  static void forward(const ClassToken& token, const Call<Real>& call);
  static void backward(const ClassToken& token, const Call<Real>& call);
};

template <class Real>
struct Kernels<FirstRow, Real> {
  static void forward(const FirstRow& row, const Call<Real>& call);
  static void backward(const FirstRow& row, const Call<Real>& call);
};

template <class Real>
struct Kernels<Embedding, Real> {
  static void forward(const Embedding& embedding, const Call<Real>& call);
  static void backward_weight(const Embedding& embedding, const Call<Real>& call);
};

template <class Real>
struct Kernels<PositionEmbedding, Real> {
  static void forward(const PositionEmbedding& embedding, const Call<Real>& call);
  static void backward_input(const PositionEmbedding& embedding, const Call<Real>& call);
  static void backward_weight(const PositionEmbedding& embedding, const Call<Real>& call);
};

template <class Real>
struct Kernels<Rotary, Real> {
  static void forward(const Rotary& rotary, const Call<Real>& call);
  static void backward(const Rotary& rotary, const Call<Real>& call);
};

template <class Real>
struct Kernels<Attention, Real> {
  static void forward(const Attention& attention, const Call<Real>& call);
  static void backward(const Attention& attention, const Call<Real>& call);
};

template <class Real>
struct Kernels<CrossEntropy, Real> {
  static void forward(const CrossEntropy& loss, const Call<Real>& call);
  static void backward(const CrossEntropy& loss, const Call<Real>& call);
};

template <class Real>
struct Kernels<SquaredError, Real> {
  static void forward(const SquaredError& loss, const Call<Real>& call);
  static void backward(const SquaredError& loss, const Call<Real>& call);
};

// Rows of numbers per channel: y = factors x + offsets, in the type of statistics.
template <class Real>
void scale_channels(Real* y, const Real* x, const std::vector<double>& factors,
                    const std::vector<double>& offsets, std::int64_t rows);
// One step of the optimizer; its state is null where it keeps none.
template <class Real>
void step(const Update& update, Real* weights, const Real* gradients, const OptimizerState& state,
          std::int64_t n);
// What is averaged where holders come together, and how the weights follow from it.
template <class Real>
void outer_gradient(const OuterPiece& piece, Real* gradients, std::int64_t n);
template <class Real>
void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                const Real* averages, std::int64_t n);

}  // namespace rehearse::exec::reference
