// Dropout: ten rounds of Philox (model/base/random.h) on vectors of counters, then a choice.
#include "exec/cpu/dropout_mask.h"
#include "exec/cpu/onednn/kernels.h"
#include "exec/cpu/onednn/vectors.h"

namespace rehearse::exec::onednn {
namespace {

constexpr std::int64_t kGrain = 64;  // groups that a thread takes at least

struct Mask {
  std::array<std::uint32_t, 2> key;
  std::uint32_t bound;
  float factor;
};

// Words of the blocks that counters first, first + 1, ... give: word j of all lanes, then j + 1.
using MaskWords = std::uint32_t[kMaskWords][kMaskLanes];

inline void draw(const std::array<std::uint32_t, 4>& first, std::array<std::uint32_t, 2> key,
                 MaskWords& words) {
  for (std::int64_t i = 0; i < kMaskLanes; ++i) {
    words[0][i] = first[0] + static_cast<std::uint32_t>(i);
    words[1][i] = first[1];
    words[2][i] = first[2];
    words[3][i] = first[3];
  }
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (std::int64_t i = 0; i < kMaskLanes; ++i) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * words[0][i];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * words[2][i];
      words[0][i] = static_cast<std::uint32_t>(b >> 32) ^ words[1][i] ^ key[0];
      words[1][i] = static_cast<std::uint32_t>(b);
      words[2][i] = static_cast<std::uint32_t>(a >> 32) ^ words[3][i] ^ key[1];
      words[3][i] = static_cast<std::uint32_t>(a);
    }
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
}

// The n elements of a group, at most kMaskGroup.
template <class Real>
REHEARSE_VECTORS void drop_group(const std::array<std::uint32_t, 4>& first, const Mask& mask,
                                 Real* to, const Real* from, std::int64_t n) {
  MaskWords words;
  draw(first, mask.key, words);
  const std::uint32_t* word = words[0];
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float kept = from[i] * mask.factor;  // computed always: a conditional read is no vector's
    to[i] = static_cast<Real>(word[i] >= mask.bound ? kept : 0.0F);
  }
}

template <class Real>
class DropoutKernel : public Kernel {
 public:
  DropoutKernel(SharedSession session, const KernelRequest& request, const Dropout& layer)
      : session_(std::move(session)),
        forward_(request.kind == KernelKind::forward),
        samples_(request.samples),
        elements_(request.output.elements()),
        bound_(mask_bound(layer)),
        factor_(static_cast<float>(1 / (1 - layer.rate))) {}

  void run(const KernelArguments& a) override {
    const auto* from = static_cast<const Real*>(forward_ ? a.inputs[0] : a.output_gradient);
    auto* to = static_cast<Real*>(forward_ ? a.output : a.input_gradients[0]);
    const Mask mask{mask_key(a.draws), bound_, factor_};
    const std::int64_t groups = (elements_ + kMaskGroup - 1) / kMaskGroup;
    session_->team.share(samples_ * groups, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t g = begin; g < end; ++g) {
        const std::int64_t sample = g / groups, first = g % groups * kMaskGroup;
        const std::int64_t at = sample * elements_ + first;
        drop_group(mask_counter(a.draws, sample, g % groups), mask, to + at, from + at,
                   std::min(kMaskGroup, elements_ - first));
      }
    });
  }

 private:
  SharedSession session_;
  bool forward_;
  std::int64_t samples_, elements_;
  std::uint32_t bound_;
  float factor_;
};

}  // namespace

template <class Real>
std::unique_ptr<Kernel> make_dropout(const SharedSession& session, const KernelRequest& request,
                                     const Dropout& layer) {
  return std::make_unique<DropoutKernel<Real>>(session, request, layer);
}

template std::unique_ptr<Kernel> make_dropout<float>(const SharedSession&, const KernelRequest&,
                                                     const Dropout&);
template std::unique_ptr<Kernel> make_dropout<BFloat16>(const SharedSession&, const KernelRequest&,
                                                        const Dropout&);

}  // namespace rehearse::exec::onednn
