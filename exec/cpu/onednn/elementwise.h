// Flat loops over floats, shared among the threads of a rank.
#pragma once

#include "exec/backend.h"
#include "exec/cpu/onednn/team.h"

namespace rehearse::exec::onednn {

void add(const Team& team, float* into, const float* from, std::int64_t n);  // into += from
// sum = left + right; any of them may be another.
void add(const Team& team, float* sum, const float* left, const float* right, std::int64_t n);
void copy(const Team& team, float* to, const float* from, std::int64_t n);
void fill_zero(const Team& team, float* values, std::int64_t n);
void divide(const Team& team, float* values, std::int64_t n, float by);
// sum (+)= the sum of rows of n elements, in their order and in double.
void sum_rows(const Team& team, float* sum, const float* x, std::int64_t rows, std::int64_t n,
              bool adds);
// In double; the same bits on any number of threads.
double sum_of_squares(const Team& team, const float* values, std::int64_t n);
// One step of an optimizer (exec/cpu/optimizer_loops.h).
void step(const Team& team, const Update& update, float* weights, const float* gradients,
          float* first, float* second, std::int64_t n);

}  // namespace rehearse::exec::onednn
