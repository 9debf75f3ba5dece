// The library's product of dense matrices: of floats, and of BFloat16 with sums in float.
#pragma once

#include <cstdint>

#include "exec/cpu/onednn/session.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec::onednn {

// Rows so many elements apart.
template <class Real>
struct Rows {
  const Real* data;
  std::int64_t apart;
};

// c [m, n] = scale op(a) op(b) + beta c, where op transposes ('T') or not ('N'); rows of c are so
// far apart. On as many threads as the library may take.
void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows<float>& a, const Rows<float>& b, float beta, float* c,
             std::int64_t apart);
void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows<BFloat16>& a, const Rows<BFloat16>& b, float beta, float* c,
             std::int64_t apart);

// c [m, n] = op(a) op(b), or added to c, on all threads of the session. Where it is exact the
// result is cut into parts by its shape alone, each of which one thread computes; else large ones
// are cut by the threads. In BFloat16 the shape cuts it, too; parts are float until they are
// rounded, once: in the work space, of which reserve_product() takes enough.
template <class Real>
void shared_product(const Session& session, char trans_a, char trans_b, std::int64_t m,
                    std::int64_t n, std::int64_t k, const Rows<Real>& a, const Rows<Real>& b,
                    bool adds, Real* c);
template <class Real>
void reserve_product(Session& session, std::int64_t m, std::int64_t n);

}  // namespace rehearse::exec::onednn
