// A linear layer and the GELU beside it as one product: forward the GELU behind the layer, backward
// the GELU in front of it, whose gradient is the epilogue of the layer's input gradient.
//
// The GELU's input is kept where it would be without: either of the two may run either pass. In
// bf16 its output is that of the input before it is rounded.
#pragma once

#include "exec/cuda/ops/products.h"

namespace rehearse::exec::cuda {

template <class Real>
struct LinearGelu {
  using Products = Op<Linear, Real>;

  // Of the tanh form, which libraries have.
  static bool serves(const KernelRequest& first, const KernelRequest& second) {
    const auto* gelu = std::get_if<Gelu>(&second.layer);
    return std::holds_alternative<Linear>(first.layer) && gelu != nullptr &&
           gelu->form == GeluForm::tanh && epilogue_of(first.kind, second.kind) != Epilogue::none;
  }
  // The same elements at some address that is aligned as the arena's are: what a queue's answer
  // depends on.
  template <class Queue>
  static bool is_one_kernel(const KernelRequest& first, const KernelRequest& second, Queue& queue) {
    auto* const somewhere = reinterpret_cast<void*>(std::uintptr_t{1} << 12);
    KernelArguments arguments;
    arguments.inputs = {somewhere};
    arguments.input_gradients = {somewhere};
    arguments.parameters = {somewhere, somewhere};
    arguments.output = somewhere;
    arguments.output_gradient = somewhere;
    return queue.has_product(product(Call<Real>{first, arguments}, Call<Real>{second, arguments}));
  }
  template <class Queue>
  static void run(const Call<Real>& first, const Call<Real>& second, Queue& queue) {
    queue.product(product(first, second));
  }

 private:
  static Epilogue epilogue_of(KernelKind first, KernelKind second) {
    if (first == KernelKind::forward && second == KernelKind::forward) return Epilogue::gelu;
    if (first == KernelKind::backward_input && second == KernelKind::backward)
      return Epilogue::gelu_gradient;
    return Epilogue::none;
  }
  static Product product(const Call<Real>& first, const Call<Real>& second) {
    const Linear& linear = std::get<Linear>(first.request.layer);
    const Epilogue epilogue = epilogue_of(first.request.kind, second.request.kind);
    const bool is_forward = epilogue == Epilogue::gelu;
    Product it = is_forward ? Products::forward_product(linear, first)
                            : Products::input_product(linear, first);
    it.epilogue = epilogue;
    // What the GELU reads, which backward only reads.
    it.x = const_cast<Real*>(is_forward ? first.output() : second.input(0));
    it.c = is_forward ? second.output() : second.input_gradient(0);
    return it;
  }
};

}  // namespace rehearse::exec::cuda
