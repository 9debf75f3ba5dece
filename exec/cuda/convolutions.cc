#include "exec/cuda/convolutions.h"

#include <stdexcept>
#include <string>

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

std::string describe(const Convolution& c) {
  return fmt::format("{} x {} x {} x {} to {} channels by {} x {} kernels, {} apart", c.samples,
                     c.height, c.width, c.shape.in_channels, c.shape.out_channels, c.shape.kernel,
                     c.shape.kernel, c.shape.stride);
}

// What the library may do with operands: its default is to round those of fp32 to tf32.
cudnnMathType_t math_of(Element element, Fp32Products of_fp32) {
  if (element == Element::bf16) return CUDNN_TENSOR_OP_MATH;
  return element == Element::fp32 && of_fp32 == Fp32Products::tf32 ? CUDNN_DEFAULT_MATH
                                                                   : CUDNN_FMA_MATH;
}

// The first choice that works, always gives the same bits, has room enough, and does not round
// operands to less than was allowed.
template <class Choice>
const Choice& best_of(const std::vector<Choice>& choices, const Convolution& c,
                      cudnnMathType_t allowed) {
  for (const Choice& choice : choices) {
    const bool is_narrower =
        c.element != Element::bf16 &&
        (choice.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION ||
         (choice.mathType == CUDNN_TENSOR_OP_MATH && allowed == CUDNN_FMA_MATH));
    if (choice.status == CUDNN_STATUS_SUCCESS && choice.determinism == CUDNN_DETERMINISTIC &&
        choice.memory <= kMostWorkspace && !is_narrower)
      return choice;
  }
  throw std::runtime_error("cuDNN has no deterministic convolution of " + describe(c));
}

}  // namespace

class Convolutions::Prepared {
 public:
  Prepared(cudnnHandle_t handle, const Convolution& c, Fp32Products of_fp32)
      : handle_(handle), pass_(c.pass), math_(math_of(c.element, of_fp32)) {
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
    REHEARSE_DNN(cudnnSetConvolutionMathType, convolution_, math_);
    choose(c);
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
  void choose(const Convolution& c) {
    int most = 0, found = 0;
    switch (pass_) {
      case ConvolutionPass::forward: {
        REHEARSE_DNN(cudnnGetConvolutionForwardAlgorithmMaxCount, handle_, &most);
        std::vector<cudnnConvolutionFwdAlgoPerf_t> choices(static_cast<std::size_t>(most));
        REHEARSE_DNN(cudnnGetConvolutionForwardAlgorithm_v7, handle_, x_, w_, convolution_, y_,
                     most, &found, choices.data());
        keep(choices, found, c, forward_);
        return;
      }
      case ConvolutionPass::backward_input: {
        REHEARSE_DNN(cudnnGetConvolutionBackwardDataAlgorithmMaxCount, handle_, &most);
        std::vector<cudnnConvolutionBwdDataAlgoPerf_t> choices(static_cast<std::size_t>(most));
        REHEARSE_DNN(cudnnGetConvolutionBackwardDataAlgorithm_v7, handle_, w_, y_, convolution_, x_,
                     most, &found, choices.data());
        keep(choices, found, c, input_);
        return;
      }
      case ConvolutionPass::backward_weight: {
        REHEARSE_DNN(cudnnGetConvolutionBackwardFilterAlgorithmMaxCount, handle_, &most);
        std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> choices(static_cast<std::size_t>(most));
        REHEARSE_DNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7, handle_, x_, y_, convolution_,
                     w_, most, &found, choices.data());
        keep(choices, found, c, weight_);
        return;
      }
    }
  }
  template <class Choice, class Algorithm>
  void keep(std::vector<Choice>& choices, int found, const Convolution& c, Algorithm& algorithm) {
    choices.resize(static_cast<std::size_t>(found));
    const Choice& best = best_of(choices, c, math_);
    algorithm = best.algo;
    workspace_ = best.memory;
    REHEARSE_DNN(cudnnSetConvolutionMathType, convolution_,
                 math_ == CUDNN_FMA_MATH ? math_ : best.mathType);
  }

  cudnnHandle_t handle_;
  ConvolutionPass pass_;
  cudnnMathType_t math_;
  cudnnTensorDescriptor_t x_ = nullptr, y_ = nullptr;
  cudnnFilterDescriptor_t w_ = nullptr;
  cudnnConvolutionDescriptor_t convolution_ = nullptr;
  cudnnConvolutionFwdAlgo_t forward_{};
  cudnnConvolutionBwdDataAlgo_t input_{};
  cudnnConvolutionBwdFilterAlgo_t weight_{};
  std::size_t workspace_ = 0;
};

Convolutions::Convolutions(Fp32Products of_fp32) : of_fp32_(of_fp32) {
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
  if (!it) it = std::make_unique<Prepared>(handle_, c, of_fp32_);
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
