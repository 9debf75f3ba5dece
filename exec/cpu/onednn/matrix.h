// The library's product of dense matrices.
#pragma once

#include <cstdint>

#include "exec/cpu/onednn/session.h"

namespace rehearse::exec::onednn {

// Rows so many floats apart.
struct Rows {
  const float* data;
  std::int64_t apart;
};

// c [m, n] = scale op(a) op(b) + beta c, where op transposes ('T') or not ('N'); rows of c are so
// far apart. On as many threads as the library may take.
void product(char trans_a, char trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
             float scale, const Rows& a, const Rows& b, float beta, float* c, std::int64_t apart);

// The same on all threads of the session; where it is exact the result is cut into parts by its
// shape alone, each of which one thread computes.
void shared_product(const Session& session, char trans_a, char trans_b, std::int64_t m,
                    std::int64_t n, std::int64_t k, const Rows& a, const Rows& b, float beta,
                    float* c);

}  // namespace rehearse::exec::onednn
