// How far results of kernels may be from those of the reference.
#pragma once

#include <string>
#include <vector>

#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {

// Of a sum of so many terms in fp32, relative to the largest element, which stands for the size of
// partial sums: 8 eps sqrt(terms).
double sum_error(double terms);
// No kernel sums more terms than its largest operand has elements; elementwise ones sum none.
double longest_sum(const LayerCase& layer);

// Each element within `error` times the largest expected one.
void expect_within(double error, const std::vector<double>& expected,
                   const std::vector<double>& actual, const std::string& what);
void expect_within(double error, const LayerOutcome& expected, const LayerOutcome& actual);

}  // namespace rehearse::exec
