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
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/net.h"

namespace rehearse {

// Of one width.
inline constexpr std::int64_t kMostWidthUnits = 1 << 16;

// The inner widths by what is counted in them: hidden units between linear layers, attention heads
// (with grouped heads, groups), channels between convolutions.
enum class WidthAxis { hidden, heads, channels };
std::string_view to_string(WidthAxis axis);

// An inner width before it is cut.
struct InnerWidth {
  WidthAxis axis = WidthAxis::hidden;
  std::int64_t channels = 0;    // or heads, or groups of them: the most units that it can have
  std::int64_t parameters = 0;  // of all its units; the second product's bias is none's
  SegmentId segment;            // that it begins in
};
// In the order they run.
std::vector<InnerWidth> inner_widths(const Net& net);

// Which parts of a network are units, that a worker may leave out.
struct UnitRule {
  std::int64_t of_width = 1;    // units of every inner width; 1: widths are whole, blocks are units
  std::vector<WidthAxis> axes;  // the widths that are cut, ascending; empty: all
  std::vector<BlockId> always_held;  // blocks that have no units, ascending
  friend bool operator==(const UnitRule&, const UnitRule&) = default;
};

// The network with these units. Of blocks that are always held they are gone.
//
// Where widths are cut, unit k of n channels or heads has [k n / of_width, (k + 1) n / of_width).
// The units of `full` are gone, its blocks, segments and other layers stay; ids of layers, values
// and parameters are kept by the first unit. A cut parameter says where its elements stand in the
// whole (Parameter::slice), so that it starts with the same values.
//
// Errors: a block that there is not, or that has no unit; no inner width of these axes, or one of
// fewer channels or heads than units.
Result<Net> cut_units(const Net& full, const UnitRule& rule);

}  // namespace rehearse
