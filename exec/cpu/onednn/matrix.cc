#include "exec/cpu/onednn/matrix.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec::onednn {
namespace {

// Of an exact product: parts of the longer side, in whole vectors, of one thread's worth at least.
constexpr std::int64_t kParts = 8, kVector = 16, kShortest = 64;

}  // namespace

void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows& a, const Rows& b, float beta, float* c, std::int64_t apart) {
  const auto status = dnnl_sgemm(trans_a, trans_b, m, n, k, scale, a.data, a.apart, b.data, b.apart,
                                 beta, c, apart);
  REHEARSE_CHECK(status == dnnl_success, "a matrix product failed: {}", static_cast<int>(status));
}

void shared_product(const Session& session, char trans_a, char trans_b, std::int64_t m,
                    std::int64_t n, std::int64_t k, const Rows& a, const Rows& b, float beta,
                    float* c) {
  if (!session.is_exact) return product(trans_a, trans_b, m, n, k, 1, a, b, beta, c, n);
  const bool by_rows = m >= n;
  const std::int64_t length = by_rows ? m : n;
  const std::int64_t share = (length + kParts - 1) / kParts;
  const std::int64_t size = std::max(kShortest, (share + kVector - 1) / kVector * kVector);
  const auto part = [&](std::int64_t begin, std::int64_t count) {
    if (by_rows) {
      const float* from = a.data + (trans_a == 'N' ? begin * a.apart : begin);
      return product(trans_a, trans_b, count, n, k, 1, {from, a.apart}, b, beta, c + begin * n, n);
    }
    const float* from = b.data + (trans_b == 'N' ? begin : begin * b.apart);
    product(trans_a, trans_b, m, count, k, 1, a, {from, b.apart}, beta, c + begin, n);
  };
  const std::int64_t parts = (length + size - 1) / size;
  session.team.share(parts, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t p = first; p < last; ++p)
      part(p * size, std::min(size, length - p * size));
  });
}

}  // namespace rehearse::exec::onednn
