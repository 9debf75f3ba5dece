#include "exec/cuda/convolutions.h"

#include <array>
#include <stdexcept>

#include "exec/cuda/check.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec::cuda {
namespace {

cudnnDataType_t type_of(Element element) {
  switch (element) {
    case Element::bf16:
      return CUDNN_DATA_BFLOAT16;
    case Element::fp32:
      return CUDNN_DATA_FLOAT;
    case Element::fp64:
      return CUDNN_DATA_DOUBLE;
  }
  REHEARSE_UNREACHABLE("element");
}

int number(std::int64_t n) {
  return static_cast<int>(n);
}

// What the library may use for one convolution.
constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;

// The first choice that works, always gives the same bits, and has room enough.
template <class Choice>
Choice best_of(const std::array<Choice, 8>& choices, int found) {
  for (int k = 0; k < found; ++k) {
    const Choice& choice = choices[static_cast<std::size_t>(k)];
    if (choice.status == CUDNN_STATUS_SUCCESS && choice.determinism == CUDNN_DETERMINISTIC &&
        choice.memory <= kMostWorkspace)
      return choice;
  }
  throw std::runtime_error("cuDNN has no deterministic convolution for a layer of the network");
}

}  // namespace

class Convolutions::Prepared {
 public:
  Prepared(cudnnHandle_t handle, const Convolution& c) : handle_(handle), pass_(c.pass) {
    const cudnnDataType_t type = type_of(c.element);
    const Conv2d& s = c.shape;
    REHEARSE_DNN(cudnnCreateTensorDescriptor, &x_);
    REHEARSE_DNN(cudnnCreateTensorDescriptor, &y_);
    REHEARSE_DNN(cudnnCreateFilterDescriptor, &w_);
    REHEARSE_DNN(cudnnCreateConvolutionDescriptor, &convolution_);
    REHEARSE_DNN(cudnnSetTensor4dDescriptor, x_, CUDNN_TENSOR_NHWC, type, number(c.samples),
                 number(s.in_channels), number(c.height), number(c.width));
    REHEARSE_DNN(cudnnSetTensor4dDescriptor, y_, CUDNN_TENSOR_NHWC, type, number(c.samples),
                 number(s.out_channels), number(c.out_height), number(c.out_width));
    REHEARSE_DNN(cudnnSetFilter4dDescriptor, w_, type, CUDNN_TENSOR_NHWC, number(s.out_channels),
                 number(s.in_channels), number(s.kernel), number(s.kernel));
    const int padding = number(s.padding), stride = number(s.stride);
    REHEARSE_DNN(cudnnSetConvolution2dDescriptor, convolution_, padding, padding, stride, stride, 1,
                 1, CUDNN_CROSS_CORRELATION,
                 c.element == Element::fp64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT);
    REHEARSE_DNN(cudnnSetConvolutionMathType, convolution_,
                 c.element == Element::bf16 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH);
    choose();
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() {
    REHEARSE_LAZY(kDnn, cudnnDestroyConvolutionDescriptor)(convolution_);
    REHEARSE_LAZY(kDnn, cudnnDestroyFilterDescriptor)(w_);
    REHEARSE_LAZY(kDnn, cudnnDestroyTensorDescriptor)(y_);
    REHEARSE_LAZY(kDnn, cudnnDestroyTensorDescriptor)(x_);
  }

  std::size_t workspace() const { return workspace_; }

  void run(const Convolution& c, void* workspace, std::size_t bytes) {
    const float one = 1, before = c.adds ? 1 : 0;
    const double wide_one = 1, wide_before = c.adds ? 1 : 0;
    const bool is_double = c.element == Element::fp64;
    const void* const alpha = is_double ? static_cast<const void*>(&wide_one) : &one;
    const void* const beta = is_double ? static_cast<const void*>(&wide_before) : &before;
    switch (pass_) {
      case ConvolutionPass::forward:
        REHEARSE_DNN(cudnnConvolutionForward, handle_, alpha, x_, c.first, w_, c.second,
                     convolution_, forward_, workspace, bytes, beta, y_, c.result);
        return;
      case ConvolutionPass::backward_input:
        REHEARSE_DNN(cudnnConvolutionBackwardData, handle_, alpha, w_, c.second, y_, c.first,
                     convolution_, input_, workspace, bytes, beta, x_, c.result);
        return;
      case ConvolutionPass::backward_weight:
        REHEARSE_DNN(cudnnConvolutionBackwardFilter, handle_, alpha, x_, c.first, y_, c.second,
                     convolution_, weight_, workspace, bytes, beta, w_, c.result);
        return;
    }
  }

 private:
  void choose() {
    int found = 0;
    switch (pass_) {
      case ConvolutionPass::forward: {
        std::array<cudnnConvolutionFwdAlgoPerf_t, 8> choices{};
        REHEARSE_DNN(cudnnGetConvolutionForwardAlgorithm_v7, handle_, x_, w_, convolution_, y_, 8,
                     &found, choices.data());
        keep(best_of(choices, found), forward_);
        return;
      }
      case ConvolutionPass::backward_input: {
        std::array<cudnnConvolutionBwdDataAlgoPerf_t, 8> choices{};
        REHEARSE_DNN(cudnnGetConvolutionBackwardDataAlgorithm_v7, handle_, w_, y_, convolution_, x_,
                     8, &found, choices.data());
        keep(best_of(choices, found), input_);
        return;
      }
      case ConvolutionPass::backward_weight: {
        std::array<cudnnConvolutionBwdFilterAlgoPerf_t, 8> choices{};
        REHEARSE_DNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7, handle_, x_, y_, convolution_,
                     w_, 8, &found, choices.data());
        keep(best_of(choices, found), weight_);
        return;
      }
    }
  }
  template <class Choice, class Algorithm>
  void keep(const Choice& choice, Algorithm& algorithm) {
    algorithm = choice.algo;
    workspace_ = choice.memory;
    REHEARSE_DNN(cudnnSetConvolutionMathType, convolution_, choice.mathType);
  }

  cudnnHandle_t handle_;
  ConvolutionPass pass_;
  cudnnTensorDescriptor_t x_ = nullptr, y_ = nullptr;
  cudnnFilterDescriptor_t w_ = nullptr;
  cudnnConvolutionDescriptor_t convolution_ = nullptr;
  cudnnConvolutionFwdAlgo_t forward_{};
  cudnnConvolutionBwdDataAlgo_t input_{};
  cudnnConvolutionBwdFilterAlgo_t weight_{};
  std::size_t workspace_ = 0;
};

Convolutions::Convolutions() {
  REHEARSE_DNN(cudnnCreate, &handle_);
}

Convolutions::~Convolutions() {
  prepared_.clear();
  REHEARSE_LAZY(kDnn, cudnnDestroy)(handle_);
}

Convolutions::Prepared& Convolutions::prepared(const Convolution& c) {
  const Conv2d& s = c.shape;
  const std::vector<std::int64_t> key = {static_cast<std::int64_t>(c.pass),
                                         static_cast<std::int64_t>(c.element),
                                         c.samples,
                                         c.height,
                                         c.width,
                                         s.in_channels,
                                         s.out_channels,
                                         s.kernel,
                                         s.stride,
                                         s.padding};
  std::unique_ptr<Prepared>& it = prepared_[key];
  if (!it) it = std::make_unique<Prepared>(handle_, c);
  return *it;
}

std::size_t Convolutions::workspace_bytes(const Convolution& convolution) {
  return prepared(convolution).workspace();
}

void Convolutions::run(const Convolution& convolution, void* workspace, std::size_t bytes,
                       cudaStream_t stream) {
  REHEARSE_DNN(cudnnSetStream, handle_, stream);
  prepared(convolution).run(convolution, workspace, bytes);
}

}  // namespace rehearse::exec::cuda
