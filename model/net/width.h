// Width-wise subnetworks: the network with its inner widths cut into units that workers may hold.
//
// An inner width lies between two products and is seen by nobody else: the hidden units of a
// feed-forward part (gate, up and down together), attention heads (queries, keys, values and the
// projection; with grouped heads, a group), the channels between two convolutions. The residual
// stream keeps its full width. A unit has rows of the first product and columns of the second:
//
//   y = B f(A x) = sum over units u of B_u f(A_u x)
//
// so the cut network computes the sum over its units, and a worker that holds some of them the sum
// over those (Sum, model/net/layer.h): what is not held is absent forward, backward and in updates.
// The second product's bias, and norms outside, are everybody's. A product stands in one inner
// width only: cutting both its sides would leave corners of its weights that nobody holds. In a
// perceptron every second hidden layer is cut, in a bottleneck the first width of its branch.
#pragma once

#include <cstdint>

#include "model/base/diagnostic.h"
#include "model/net/net.h"

namespace rehearse {

// Of one width.
inline constexpr std::int64_t kMostWidthUnits = 1 << 16;

// Every inner width in `units` units as equal as can be: unit k of n channels or heads has [k n /
// units, (k + 1) n / units). The units of `full` are gone, its blocks, segments and other layers
// stay; ids of layers, values and parameters are kept by the first unit. A cut parameter says where
// its elements stand in the whole (Parameter::slice), so that it starts with the same values.
//
// Errors: the network has no inner width, or one of fewer channels or heads than units.
Result<Net> split_widths(const Net& full, std::int64_t units);

}  // namespace rehearse
