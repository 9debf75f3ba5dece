// A backend whose kernels are the ops of exec/cuda/ops, in the queues of a device.
//
// Queues: a KernelDevice, with current(), the selected queue (ops/op.h says what that has), and
// scratch_bytes(), what all of them have taken for scratch memory and libraries.
#pragma once

#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "exec/cuda/ops/attention.h"
#include "exec/cuda/ops/batch_norm.h"
#include "exec/cuda/ops/elementwise.h"
#include "exec/cuda/ops/embedding.h"
#include "exec/cuda/ops/flat.h"
#include "exec/cuda/ops/linear_gelu.h"
#include "exec/cuda/ops/losses.h"
#include "exec/cuda/ops/pooling.h"
#include "exec/cuda/ops/products.h"
#include "exec/cuda/ops/row_norms.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {

template <class Real, class Queues>
class QueueKernel : public Kernel {
 public:
  QueueKernel(KernelRequest request, Queues& queues)
      : request_(std::move(request)),
        queues_(queues),
        implementation_(choose(request_, queues.current())) {}

  std::string_view implementation() const override { return implementation_; }

  void run(const KernelArguments& arguments) override {
    auto& queue = queues_.current();
    auto* const sum = static_cast<Real*>(arguments.sum);
    const auto* left = static_cast<const Real*>(arguments.left);
    if (request_.kind == KernelKind::accumulate)
      return Flat<Real>::add(queue, sum, left, static_cast<const Real*>(arguments.right),
                             request_.elements);
    if (request_.kind == KernelKind::copy)
      return queue.copy(sum, left, static_cast<std::size_t>(request_.elements) * sizeof(Real));
    run_layer(Call<Real>{request_, arguments}, queue);
  }

 private:
  template <class Queue>
  static std::string_view choose(const KernelRequest& request, Queue& queue) {
    if (request.kind == KernelKind::accumulate || request.kind == KernelKind::copy) return {};
    return std::visit(
        [&]<class Layer>(const Layer& layer) -> std::string_view {
          using O = Op<Layer, Real>;
          if constexpr (requires { O::implementation(layer, request, queue); })
            return O::implementation(layer, request, queue);
          return {};
        },
        request.layer);
  }

  template <class Queue>
  static void run_layer(const Call<Real>& call, Queue& queue) {
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          using O = Op<Layer, Real>;
          const KernelKind kind = call.request.kind;
          // The layers without ops are collectives of a plan.
          if constexpr (requires { O::forward(layer, call, queue); }) {
            if (kind == KernelKind::forward) return O::forward(layer, call, queue);
          }
          if constexpr (requires { O::backward(layer, call, queue); }) {
            if (kind == KernelKind::backward) return O::backward(layer, call, queue);
          }
          if constexpr (requires { O::backward_input(layer, call, queue); }) {
            if (kind == KernelKind::backward_input) return O::backward_input(layer, call, queue);
          }
          if constexpr (requires { O::backward_weight(layer, call, queue); }) {
            if (kind == KernelKind::backward_weight) return O::backward_weight(layer, call, queue);
          }
          REHEARSE_UNREACHABLE(
              fmt::format("no kernel for {} of {}", to_string(kind), kind_name(layer)));
        },
        call.request.layer);
  }

  KernelRequest request_;
  Queues& queues_;
  std::string_view implementation_;
};

template <class Real, class Queues>
class QueuePair : public KernelPair {
 public:
  QueuePair(KernelRequest first, KernelRequest second, Queues& queues)
      : first_(std::move(first)), second_(std::move(second)), queues_(queues) {}

  void run(const KernelArguments& first, const KernelArguments& second) override {
    LinearGelu<Real>::run({first_, first}, {second_, second}, queues_.current());
  }

 private:
  KernelRequest first_, second_;
  Queues& queues_;
};

// Whether steps become pairs where the queue has a kernel for both.
enum class Pairs { none, all };

template <class Real, class Queues>
class QueueBackend : public Backend {
 public:
  QueueBackend(std::string_view name, DataType type, std::unique_ptr<Queues> queues,
               Pairs pairs = Pairs::none)
      : name_(name),
        type_(type),
        pairs_(pairs),
        queues_(std::move(queues)),
        number_(queues_->allocate(sizeof(double))) {}

  std::string_view name() const override { return name_; }
  DataType type() const override { return type_; }
  ElementSizes sizes() const override { return {sizeof(Real), sizeof(W)}; }
  KernelDevice& device() override { return *queues_; }

  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    return std::make_unique<QueueKernel<Real, Queues>>(request, *queues_);
  }

  std::unique_ptr<KernelPair> prepare_pair(const KernelRequest& first,
                                           const KernelRequest& second) override {
    using It = LinearGelu<Real>;
    if (pairs_ == Pairs::none || !It::serves(first, second)) return nullptr;
    if (!It::is_one_kernel(first, second, queue())) return nullptr;
    return std::make_unique<QueuePair<Real, Queues>>(first, second, *queues_);
  }

  void add(void* into, const void* from, std::int64_t n) override {
    Flat<Real>::add(queue(), reals(into), reals(into), reals(from), n);
  }
  void add_statistics(void* into, const void* from, std::int64_t n) override {
    auto* const sum = static_cast<Wide<Real>*>(into);
    Flat<Wide<Real>>::add(queue(), sum, sum, static_cast<const Wide<Real>*>(from), n);
  }
  void divide(void* values, std::int64_t n, std::int64_t by) override {
    Flat<Real>::divide(queue(), reals(values), n, by);
  }
  bool all_finite(const void* values, std::int64_t n) override {
    Flat<Real>::sum_of_zeros(queue(), reals(values), n, number());
    return read_number() == 0;
  }
  double sum_of_squares(const void* values, std::int64_t n) override {
    Flat<Real>::sum_of_squares(queue(), reals(values), n, number());
    return read_number();
  }
  double sum_of_squares_of(std::span<const Piece> pieces) override {
    std::vector<double> sums(pieces.size());
    const std::size_t bytes = sums.size() * sizeof(double);
    auto* const on_device = reinterpret_cast<double*>(queue().scratch(bytes, kSumsSlot));
    for (std::size_t i = 0; i < pieces.size(); ++i)
      Flat<Real>::sum_of_squares(queue(), reals(pieces[i].values), pieces[i].n, on_device + i);
    copy_in_turn(*queues_, sums.data(), on_device, bytes);
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  }
  void step(const Update& update, void* parameters, const void* gradients,
            const OptimizerState& state, std::int64_t n) override {
    Flat<Real>::step(queue(), update, reals(parameters), reals(gradients), state, n);
  }
  void outer_gradient(const OuterPiece& piece, void* gradients, std::int64_t n) override {
    Flat<Real>::outer_gradient(queue(), piece, reals(gradients), n);
  }
  void outer_step(const std::optional<OuterOptimizer>& outer, const OuterPiece& piece,
                  const void* averages, std::int64_t n) override {
    Flat<Real>::outer_step(queue(), outer, piece, reals(averages), n);
  }
  void scale_channels(void* y, const void* x, const std::vector<double>& factors,
                      const std::vector<double>& offsets, std::int64_t rows) override {
    std::vector<W> numbers(factors.begin(), factors.end());
    numbers.insert(numbers.end(), offsets.begin(), offsets.end());
    auto* const on_device = reinterpret_cast<W*>(queue().scratch(numbers.size() * sizeof(W)));
    copy_in_turn(*queues_, on_device, numbers.data(), numbers.size() * sizeof(W));
    Flat<Real>::scale_channels(queue(), reals(y), reals(x), on_device, std::ssize(factors), rows);
  }

  void store(void* into, const std::vector<double>& values) override {
    store_as<Real>(into, values);
  }
  std::vector<double> load(const void* from, std::int64_t n) override {
    return load_as<Real>(from, n);
  }
  void store_statistics(void* into, const std::vector<double>& values) override {
    store_as<W>(into, values);
  }
  std::vector<double> load_statistics(const void* from, std::int64_t n) override {
    return load_as<W>(from, n);
  }

  Bytes workspace() const override {
    return Bytes::bytes(static_cast<std::int64_t>(queues_->scratch_bytes()));
  }

 private:
  using W = Wide<Real>;
  static constexpr std::size_t kSumsSlot = 1;  // of scratch, beside that of one sum
  static Real* reals(void* data) { return static_cast<Real*>(data); }
  static const Real* reals(const void* data) { return static_cast<const Real*>(data); }
  auto& queue() { return queues_->current(); }

  double* number() { return reinterpret_cast<double*>(number_->data()); }
  double read_number() {
    double number = 0;
    copy_in_turn(*queues_, &number, number_->data(), sizeof number);
    return number;
  }

  template <class Number>
  void store_as(void* into, const std::vector<double>& values) {
    std::vector<Number> rounded;
    rounded.reserve(values.size());
    for (const double value : values)
      rounded.push_back(static_cast<Number>(value));
    copy_in_turn(*queues_, into, rounded.data(), rounded.size() * sizeof(Number));
  }
  template <class Number>
  std::vector<double> load_as(const void* from, std::int64_t n) {
    std::vector<Number> numbers(static_cast<std::size_t>(n));
    copy_in_turn(*queues_, numbers.data(), from, numbers.size() * sizeof(Number));
    return {numbers.begin(), numbers.end()};
  }

  std::string_view name_;
  DataType type_;
  Pairs pairs_;
  std::unique_ptr<Queues> queues_;
  std::unique_ptr<DeviceMemory> number_;  // where a sum comes to
};

}  // namespace rehearse::exec::cuda
