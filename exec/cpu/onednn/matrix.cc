#include "exec/cpu/onednn/matrix.h"

#include <algorithm>
#include <type_traits>

#include "exec/cpu/onednn/elementwise.h"
#include "model/base/check.h"

// The library exports it beside dnnl_sgemm, without a line in its headers.
extern "C" dnnl_status_t dnnl_gemm_bf16bf16f32(char trans_a, char trans_b, dnnl_dim_t m,
                                               dnnl_dim_t n, dnnl_dim_t k, float alpha,
                                               const void* a, dnnl_dim_t lda, const void* b,
                                               dnnl_dim_t ldb, float beta, float* c,
                                               dnnl_dim_t ldc);

namespace rehearse::exec::onednn {
namespace {

// Of a product in parts: parts of the longer side, in whole vectors, of one thread's worth at
// least; in BFloat16 no larger than what stays in a cache, unless the shorter side is longer.
constexpr std::int64_t kParts = 8, kVector = 16, kShortest = 64, kCached = 1 << 18;
// Where sums need not be exact there is a part for each thread if it is this long: the library on
// several threads is 10 % slower, and a third where rows are 3072 floats apart.
constexpr std::int64_t kLongEnough = 256;

template <class Real>
constexpr bool kIsNarrow = !std::is_same_v<Real, Wide<Real>>;

struct Cut {
  bool by_rows;
  std::int64_t length, size;  // of the longer side, and of a part
  std::int64_t other;         // the shorter side
  std::int64_t parts() const { return (length + size - 1) / size; }
};

template <class Real>
Cut cut(std::int64_t m, std::int64_t n, std::int64_t parts = kParts) {
  const std::int64_t length = std::max(m, n), other = std::min(m, n);
  const std::int64_t share = (length + parts - 1) / parts;
  std::int64_t size = (share + kVector - 1) / kVector * kVector;
  if (kIsNarrow<Real>) size = std::min(size, kCached / other / kVector * kVector);
  return {m >= n, length, std::max(kShortest, size), other};
}

void check(dnnl_status_t status) {
  REHEARSE_CHECK(status == dnnl_success, "a matrix product failed: {}", static_cast<int>(status));
}

// One part of the result: rows and columns of it, at c.
struct Part {
  std::int64_t rows, columns;
};

// As floats where they belong.
void compute(char trans_a, char trans_b, const Part& part, std::int64_t k, const Rows<float>& a,
             const Rows<float>& b, bool adds, float* c, std::int64_t apart, float*) {
  product(trans_a, trans_b, part.rows, part.columns, k, 1, a, b, adds ? 1.0F : 0.0F, c, apart);
}

// As floats elsewhere first.
void compute(char trans_a, char trans_b, const Part& part, std::int64_t k, const Rows<BFloat16>& a,
             const Rows<BFloat16>& b, bool adds, BFloat16* c, std::int64_t apart, float* work) {
  if (adds) convert_rows(work, part.columns, c, apart, part.rows, part.columns);
  product(trans_a, trans_b, part.rows, part.columns, k, 1, a, b, adds ? 1.0F : 0.0F, work,
          part.columns);
  convert_rows(c, apart, work, part.columns, part.rows, part.columns);
}

}  // namespace

void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows<float>& a, const Rows<float>& b, float beta, float* c,
             std::int64_t apart) {
  check(dnnl_sgemm(trans_a, trans_b, m, n, k, scale, a.data, a.apart, b.data, b.apart, beta, c,
                   apart));
}

void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows<BFloat16>& a, const Rows<BFloat16>& b, float beta, float* c,
             std::int64_t apart) {
  check(dnnl_gemm_bf16bf16f32(trans_a, trans_b, m, n, k, scale, a.data, a.apart, b.data, b.apart,
                              beta, c, apart));
}

template <class Real>
void shared_product(const Session& session, char trans_a, char trans_b, std::int64_t m,
                    std::int64_t n, std::int64_t k, const Rows<Real>& a, const Rows<Real>& b,
                    bool adds, Real* c) {
  const bool is_free = !kIsNarrow<Real> && !session.is_exact;
  const int team = session.team.threads();
  if (is_free && (team == 1 || std::max(m, n) < team * kLongEnough))
    return compute(trans_a, trans_b, {m, n}, k, a, b, adds, c, n, nullptr);
  const Cut it = cut<Real>(m, n, is_free ? team : kParts);
  auto* work = reinterpret_cast<float*>(session.workspace.data());
  const auto part = [&](std::int64_t begin, float* own) {
    const std::int64_t count = std::min(it.size, it.length - begin);
    if (it.by_rows) {
      const Real* from = a.data + (trans_a == 'N' ? begin * a.apart : begin);
      return compute(trans_a, trans_b, {count, n}, k, {from, a.apart}, b, adds, c + begin * n, n,
                     own);
    }
    const Real* from = b.data + (trans_b == 'N' ? begin : begin * b.apart);
    compute(trans_a, trans_b, {m, count}, k, a, {from, b.apart}, adds, c + begin, n, own);
  };
  const auto threads = static_cast<int>(std::min<std::int64_t>(team, it.parts()));
  Team::parallel(threads, [&](int thread) {
    for (std::int64_t p = thread; p < it.parts(); p += threads)
      part(p * it.size, kIsNarrow<Real> ? work + thread * it.size * it.other : nullptr);
  });
}

template <class Real>
void reserve_product(Session& session, std::int64_t m, std::int64_t n) {
  if (!kIsNarrow<Real>) return;
  const Cut it = cut<Real>(m, n);
  session.workspace.reserve(static_cast<std::size_t>(session.team.threads() * it.size * it.other) *
                            sizeof(float));
}

template void shared_product(const Session&, char, char, std::int64_t, std::int64_t, std::int64_t,
                             const Rows<float>&, const Rows<float>&, bool, float*);
template void shared_product(const Session&, char, char, std::int64_t, std::int64_t, std::int64_t,
                             const Rows<BFloat16>&, const Rows<BFloat16>&, bool, BFloat16*);
template void reserve_product<float>(Session&, std::int64_t, std::int64_t);
template void reserve_product<BFloat16>(Session&, std::int64_t, std::int64_t);

}  // namespace rehearse::exec::onednn
