// Linear layers and convolutions, which libraries compute.
#pragma once

#include "exec/cuda/ops/elementwise.h"
#include "exec/cuda/products.h"

namespace rehearse::exec::cuda {

template <class Real>
inline constexpr Element kElement = Element::fp32;
template <>
inline constexpr Element kElement<BFloat16> = Element::bf16;
template <>
inline constexpr Element kElement<double> = Element::fp64;

// Products of reals.
template <class Real>
Product product_of_reals(std::int64_t m, std::int64_t n, std::int64_t k) {
  Product product;
  product.m = m, product.n = n, product.k = k;
  product.in = product.out = kElement<Real>;
  return product;
}

template <class Real>
struct Op<Linear, Real> {
  // y = x W^T + b
  static Product forward_product(const Linear& linear, const Call<Real>& call) {
    const std::int64_t in = linear.in_features, out = linear.out_features;
    Product product = product_of_reals<Real>(call.rows(0), out, in);
    product.a = {call.input(0), in};
    product.b = {.at = call.parameter(0), .row = in, .transposed = true};
    product.c = call.output();
    product.c_row = out;
    if (linear.bias) product.bias = call.parameter(1);
    return product;
  }
  template <class Queue>
  static void forward(const Linear& linear, const Call<Real>& call, Queue& queue) {
    queue.product(forward_product(linear, call));
  }
  // dx = dy W
  static Product input_product(const Linear& linear, const Call<Real>& call) {
    const std::int64_t in = linear.in_features, out = linear.out_features;
    Product product = product_of_reals<Real>(call.rows(0), in, out);
    product.a = {call.output_gradient(), out};
    product.b = {call.parameter(0), in};
    product.c = call.input_gradient(0);
    product.c_row = in;
    return product;
  }
  template <class Queue>
  static void backward_input(const Linear& linear, const Call<Real>& call, Queue& queue) {
    queue.product(input_product(linear, call));
  }
  // dW = dy^T x
  template <class Queue>
  static void backward_weight(const Linear& linear, const Call<Real>& call, Queue& queue) {
    const std::int64_t in = linear.in_features, out = linear.out_features;
    Product product = product_of_reals<Real>(out, in, call.rows(0));
    product.a = {.at = call.output_gradient(), .row = out, .transposed = true};
    product.b = {call.input(0), in};
    product.c = gradient_of(call, 0).at;
    product.c_row = in;
    product.beta = gradient_of(call, 0).adds ? 1 : 0;
    queue.product(product);
    if (linear.bias) sum_bias_gradient(call, 1, call.rows(0), out, queue);
  }
};

template <class Real>
struct Op<Conv2d, Real> {
  static Convolution convolution(const Conv2d& conv, const Call<Real>& call, ConvolutionPass pass) {
    const auto &in = call.request.inputs[0].dims, &out = call.request.output.dims;
    Convolution it;
    it.pass = pass, it.shape = conv, it.samples = call.samples();
    it.height = in[0], it.width = in[1];
    it.out_height = out[0], it.out_width = out[1];
    it.element = kElement<Real>;
    return it;
  }
  template <class Queue>
  static void forward(const Conv2d& conv, const Call<Real>& call, Queue& queue) {
    Convolution it = convolution(conv, call, ConvolutionPass::forward);
    it.first = call.input(0), it.second = call.parameter(0), it.result = call.output();
    queue.convolve(it);
  }
  template <class Queue>
  static void backward_input(const Conv2d& conv, const Call<Real>& call, Queue& queue) {
    Convolution it = convolution(conv, call, ConvolutionPass::backward_input);
    it.first = call.output_gradient(), it.second = call.parameter(0);
    it.result = call.input_gradient(0);
    queue.convolve(it);
  }
  template <class Queue>
  static void backward_weight(const Conv2d& conv, const Call<Real>& call, Queue& queue) {
    Convolution it = convolution(conv, call, ConvolutionPass::backward_weight);
    it.first = call.input(0), it.second = call.output_gradient();
    it.result = gradient_of(call, 0).at;
    it.adds = gradient_of(call, 0).adds;
    queue.convolve(it);
  }
};

}  // namespace rehearse::exec::cuda
