// How the weights follow their gradients g.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace rehearse {

// v = momentum v + g;  w -= lr v   (no dampening, no Nesterov, as PyTorch's SGD). Weight decay adds
// weight_decay w to g.
struct Sgd {
  double momentum = 0;
  friend bool operator==(const Sgd&, const Sgd&) = default;
};

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), t counted from 1
// (Kingma and Ba, arXiv 1412.6980, algorithm 1). Weight decay adds weight_decay w to g; decoupled
// (AdamW: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2), it subtracts lr weight_decay w
// from w first.
struct Adam {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  bool decoupled = false;
  friend bool operator==(const Adam&, const Adam&) = default;
};

enum class RateDecay {
  none,
  linear,  // to `last` of the rate at the end of training
  cosine,  // the same along half a cosine (Loshchilov and Hutter, arXiv 1608.03983, section 3)
  step,    // by `factor` every `every` steps
};
const std::vector<RateDecay>& rate_decays();
std::string_view to_string(RateDecay decay);

// The learning rate over time, as a multiple of the optimizer's.
struct RateSchedule {
  std::int64_t warmup = 0;  // steps: the rate rises from 1/warmup to 1 over so many
  RateDecay decay = RateDecay::none;
  double last = 0;
  std::int64_t every = 1;
  double factor = 0.1;
  friend bool operator==(const RateSchedule&, const RateSchedule&) = default;
};

struct Optimizer {
  std::variant<Sgd, Adam> rule;
  double lr = 0.1;
  double weight_decay = 0;  // of the parameters that decay: not norms and biases
  RateSchedule schedule = {};
  std::optional<double> clip = std::nullopt;  // the norm that all gradients together may have
  friend bool operator==(const Optimizer&, const Optimizer&) = default;
};

// How weights that their holders have trained for some steps, each for itself, come together: by
// SGD with Nesterov's momentum (as PyTorch's) on the outer gradient d, the holders' mean of anchor
// - weights, where the anchor is what they began with: v = momentum v + d;  anchor -= lr (d +
// momentum v);  weights = anchor (DiLoCo: Douillard et al., arXiv 2311.08105, algorithm 1). lr 1
// and momentum 0 are the mean of the weights.
struct OuterOptimizer {
  double lr = 0.7, momentum = 0.9;
  friend bool operator==(const OuterOptimizer&, const OuterOptimizer&) = default;
};

// "sgd", "adam", "adamw".
std::string_view name_of(const Optimizer& optimizer);
// Running means kept per weight: 0 to 2.
std::int64_t moments_of(const Optimizer& optimizer);
// Additions, multiplications, divisions and roots of one step per weight.
double flops_per_weight(const Optimizer& optimizer);
// Arrays it keeps, as long as the weights: the anchor and, if there is one, the momentum. And the
// operations of its step per weight.
std::int64_t arrays_of(const OuterOptimizer& outer);
double flops_per_weight(const OuterOptimizer& outer);
// The rate of one step, counted from 0, of a training of `steps`; beyond its end the last one.
double learning_rate(const Optimizer& optimizer, std::int64_t step, std::int64_t steps);
// What gradients of this norm are multiplied by before a step: min(1, clip / (norm + 1e-6)), as
// PyTorch's clip_grad_norm_; NaN for a norm that is NaN.
double clip_factor(const Optimizer& optimizer, double norm);

}  // namespace rehearse
