// One layer of the trained network: what it is, and what it costs in shapes, never in seconds.
//
// A layer kind is one struct in LayerSpec and one file in model/net/layers/ that says what follows
// from its shapes (LayerFacts). Everything downstream (memory, plans, prices) reads the facts only;
// the specs are read by the kernels of the executor.
//
// Layout: tensors are dense, samples first, channels last: images [h, w, c], sequences [t, c].
// Shapes exclude the sample dimension; amounts are per sample, or per call where they do not grow
// with the micro-batch (weights, batch statistics).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/base/units.h"

namespace rehearse {

struct Shape {
  std::vector<std::int64_t> dims;
  std::int64_t elements() const;
  friend bool operator==(const Shape&, const Shape&) = default;
};
std::string to_string(const Shape& shape);  // "28x28x16"

// ---- the kinds -------------------------------------------------------------------------------

// Whose kernels a network is run by, as far as these differ in what they keep for backward. Ours
// draw dropout's masks again. Megatron-LM's keep them, a byte for each element, and attention's
// probabilities, where it is not fused, in the activations' type (Korthikanti et al., arXiv
// 2205.05198, section 4.1). What is not ours is predicted, not trained.
enum class Kernels { own, megatron };
const std::vector<Kernels>& kernels_there_are();
std::string_view to_string(Kernels kernels);

// Weights [out_channels, kernel, kernel, in_channels]; no bias (a norm follows).
struct Conv2d {
  std::int64_t in_channels, out_channels, kernel, stride, padding;
};
// y = x W^T + b on the last dimension; weights [out_features, in_features].
struct Linear {
  std::int64_t in_features, out_features;
  bool bias;
};
// Per channel over samples and positions, statistics of the micro-batch; scale and shift.
struct BatchNorm {
  std::int64_t channels;
};
struct LayerNorm {
  std::int64_t width;
};
struct RmsNorm {
  std::int64_t width;
};
struct Relu {};
// x times the normal distribution's share below x (Hendrycks and Gimpel, arXiv 1606.08415, section
// 2), or one of the paper's two approximations of it.
enum class GeluForm {
  tanh,     // x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3)
  erf,      // x/2 (1 + erf(x / sqrt 2))
  sigmoid,  // x / (1 + exp(-1.702 x))
};
struct Gelu {
  GeluForm form = GeluForm::tanh;
};
// Inputs gate and up: silu(gate) * up.
struct SwiGlu {};
// Inputs branch and shortcut: branch * branch_scale + shortcut.
struct Add {
  double branch_scale;
};
// Any number of inputs of one shape: scale times their sum.
struct Sum {
  double scale;
};
// Adds one learned number per channel, [width], on the last dimension.
struct Bias {
  std::int64_t width;
};
// Each element is 0 with probability `rate`, else x / (1 - rate) (Srivastava et al., JMLR 2014,
// with the factor in training). Which ones, our kernel draws again in every pass: nothing is kept.
struct Dropout {
  double rate;
  Kernels kernels = Kernels::own;
};
// [h, w, c] -> [c]
struct GlobalAveragePool {};
// [h, w, c]: the largest of each window of kernel x kernel; padding takes part in none.
struct MaxPool {
  std::int64_t kernel, stride, padding;
};
// [h, w, c] -> [(h / size) (w / size), size size c]: squares of an image as rows, in reading order.
struct Patches {
  std::int64_t size;
};
// [t, c] -> [t + 1, c]: a learned row ahead of the others.
struct ClassToken {
  std::int64_t width;
};
// [t, c] -> [c].
struct FirstRow {};
// Which of as many equal parts of something each of several tensor-parallel ranks has one
// (model/net/tensor.h). A whole is the only part.
struct PartOf {
  std::int64_t ways = 1, number = 0;
  bool is_whole() const { return ways == 1; }
};
// Token numbers [t] -> [t, width]; weights [vocabulary, width]. Of a part the first token is
// number * vocabulary, and others' have zeros.
struct Embedding {
  std::int64_t vocabulary, width;
  PartOf part = {};
};
// Adds learned positions [length, width]. Of a part, the samples' rows, one sample after the other,
// are cut into the parts: row k of a part of n has position (number * n + k) mod (ways * t).
struct PositionEmbedding {
  std::int64_t length, width;
  PartOf part = {};
};
// Rotates queries and keys in a packed [t, (heads + 2 kv_heads) head_size]: of each head the first
// `rotated` channels, pair (i, i + rotated / 2) of position p by p base^(-2 i / rotated) (Su et
// al., arXiv 2104.09864, equation 34; the halves are paired as in LLaMA's published weights).
struct Rotary {
  std::int64_t heads, kv_heads, head_size;
  std::int64_t rotated;  // even, at most head_size
  double base = 10000;
};
// Packed queries, keys and values [t, (heads + 2 kv_heads) head_size] -> [t, heads head_size].
// fused: keeps one log-sum-exp per head and position instead of the probabilities.
struct Attention {
  std::int64_t heads, kv_heads, head_size;
  bool causal, fused;
  Kernels kernels = Kernels::own;
  // Of the probabilities; ours have none. Megatron's, where they are not fused, keep the mask and
  // the result.
  double dropout = 0;
  // Whether nothing but the input is kept and the forward pass runs again in backward: Megatron's
  // way where it is not fused.
  bool checkpointed = false;
};
// Inputs logits [..., classes] and labels [...]: one loss per label.
//
// Of a part, the classes are those from number * classes on, of which those beyond `all` are
// padding. Then the output is [..., ways + 1] terms of sums over the ranks, which backward reads:
// part k's log-sum-exp at place k, and at the last place the label's logit, from the rank that has
// it (loss_of_terms()).
struct CrossEntropy {
  std::int64_t classes;
  PartOf part = {};
  std::int64_t all = 0;  // of a part: classes of the whole
  // The part's classes that are no padding.
  std::int64_t real_classes() const;
  // Log-sum-exp of none: nothing beside that of any, and finite in every type.
  static constexpr double kOfNone = -1e30;
};
// A label's loss by the summed terms, and the log-sum-exp of all its logits.
struct SplitLoss {
  double loss, log_sum_exp;
};
SplitLoss loss_of_terms(std::span<const double> terms);
// Inputs logits [..., classes] and labels [...]: one loss per label, half the squared distance of
// the logits from the label's unit vector (Hui and Belkin, "Evaluation of neural architectures
// trained with square loss vs cross-entropy in classification tasks", ICLR 2021, arXiv 2006.07322;
// there the mean over the classes, not half their sum).
struct SquaredError {
  std::int64_t classes;
};
// Sequence parallelism (model/net/tensor.h): [t / ways, c] of each rank -> [t, c] on all of them.
// Forward is an all-gather, backward a reduce-scatter. A collective of the plan, not a kernel.
struct GatherRows {
  std::int64_t ways;
};
// [t, c], a term of a sum over the ranks -> the rank's [t / ways, c] of the sum. Forward is a
// reduce-scatter, backward an all-gather. A collective of the plan, not a kernel.
struct ScatterRows {
  std::int64_t ways;
};

using LayerSpec = std::variant<Conv2d, Linear, BatchNorm, LayerNorm, RmsNorm, Relu, Gelu, SwiGlu,
                               Add, Sum, Bias, Dropout, GlobalAveragePool, MaxPool, Patches,
                               ClassToken, FirstRow, Embedding, PositionEmbedding, Rotary,
                               Attention, CrossEntropy, SquaredError, GatherRows, ScatterRows>;

// The kind's name as plans and reports print it: "conv2d", "batch_norm", ...
std::string_view kind_name(const LayerSpec& spec);
// Classes that a loss tells apart by its first input's logits; none: the layer is no loss.
std::optional<std::int64_t> classes_of_loss(const LayerSpec& spec);

// ---- what follows from them ------------------------------------------------------------------

// Kernels with a common efficiency; device profiles have one row per class.
enum class KernelClass {
  convolution,
  matrix_product,
  attention,
  normalization,
  elementwise,
  reduction,
  embedding,
  optimizer,
  copy,
};
inline constexpr int kKernelClassCount = 9;
std::string_view to_string(KernelClass kernel);

// FLOPs and memory traffic (elements read and written once each) of one pass of one layer.
struct Work {
  Flops per_sample, per_call;
  std::int64_t elements_per_sample = 0, elements_per_call = 0;
  friend Work operator+(const Work& a, const Work& b);
};

enum class Init { zeros, ones, he_normal, glorot_uniform, normal_002 };
std::string_view to_string(Init init);

struct ParameterFacts {
  std::string name;  // "weight", "bias", "scale", ...
  Shape shape;
  Init init;
  std::int64_t fan_in, fan_out;
  bool decays;  // whether weight decay applies (not to norms and biases)
};

// statistic: ElementSizes::statistic_bytes; activation: the type of activations; mask: a byte.
enum class AuxiliaryType { statistic, activation, mask };

// A tensor kept from forward to backward besides inputs and output (statistics, probabilities).
struct Auxiliary {
  std::string name;
  std::int64_t elements_per_sample = 0, elements_per_call = 0;
  AuxiliaryType type = AuxiliaryType::statistic;
};

struct LayerFacts {
  Shape output;
  KernelClass kernel = KernelClass::elementwise;
  std::vector<ParameterFacts> parameters;
  Work forward, backward_input, backward_weight;
  std::vector<bool> saves_input;  // per input: whether backward reads it
  bool saves_output = false;
  std::vector<Auxiliary> auxiliaries;
  // Whether the first input's memory may hold the output, the output's gradient that of the input.
  bool forward_in_place = false, backward_in_place = false;
  // Whether input and weight gradients are two kernels (products), or one (norms).
  bool splits_backward = false;
};

// The facts of a layer with these inputs. Shapes that do not fit are a bug of the network's
// builder (checked), not of the user.
LayerFacts describe(const LayerSpec& spec, std::span<const Shape> inputs);

// The facts of a layer whose parameters are not trained: no weight gradients are computed, and
// what only they would read is not kept.
LayerFacts without_weight_gradients(LayerFacts facts);

}  // namespace rehearse
