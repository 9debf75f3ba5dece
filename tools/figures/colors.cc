#include "tools/figures/colors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "tools/figures/axis.h"

namespace rehearse::figures {
namespace {

constexpr auto kForward = "#4c78a8", kBackward = "#72a0c9", kExposed = "#e08a3c",
               kReduce = "#3f9c78", kOptimizer = "#8e6bb0", kLoad = "#b8bfc8";

}  // namespace

std::string color_of(OpKind kind) {
  switch (kind) {
    case OpKind::load_batch:
      return kLoad;
    case OpKind::forward:
      return kForward;
    case OpKind::backward:
    case OpKind::backward_input:
      return kBackward;
    case OpKind::backward_weight:
      return "#a9c4dd";
    case OpKind::recompute:
      return "#c9b458";
    case OpKind::accumulate:
      return "#7fb7a3";
    case OpKind::clear:
      return "#cdd9b0";
    case OpKind::send:
      return kExposed;
    case OpKind::receive:
      return "#f0b27a";
    case OpKind::all_reduce:
      return kReduce;
    case OpKind::reduce_scatter:
      return "#5bb08d";
    case OpKind::all_gather:
      return "#86c9ac";
    case OpKind::broadcast:
      return "#a8d8c3";
    case OpKind::sum_squares:
      return "#b38fc9";
    case OpKind::optimizer_step:
      return kOptimizer;
    case OpKind::outer_gradient:
      return "#c39ad6";
    case OpKind::outer_step:
      return "#73529a";
  }
  return kSoft;
}

std::string color_of(BufferKind kind) {
  switch (kind) {
    case BufferKind::parameters:
      return kForward;
    case BufferKind::gradients:
      return kBackward;
    case BufferKind::optimizer_state:
      return kOptimizer;
    case BufferKind::outer_state:
      return "#73529a";
    case BufferKind::gathered:
      return "#86c9ac";
    case BufferKind::unreduced:
      return "#5bb08d";
    case BufferKind::value:
      return series_color(6);
    case BufferKind::gradient:
      return series_color(5);
    case BufferKind::saved:
      return kExposed;
    case BufferKind::kept:
      return "#c9b458";
    case BufferKind::deferred:
      return "#cdd9b0";
    case BufferKind::squares:
      return "#b38fc9";
    case BufferKind::scratch:
      return kLoad;
    case BufferKind::communication:
      return kReduce;
  }
  return kSoft;
}

std::string color_of_pass(char letter) {
  switch (letter) {
    case 'F':
      return kForward;
    case 'B':
    case 'I':
      return kBackward;
    case 'W':
      return "#a9c4dd";
    default:
      return "";
  }
}

std::string color_of_pool(const std::string& name, std::size_t number) {
  static const std::map<std::string, std::string> own = {{"arena", kForward},
                                                         {"parameters", kForward},
                                                         {"gradients", kBackward},
                                                         {"activations", kExposed},
                                                         {"communication", kReduce},
                                                         {"optimizer_state", kOptimizer},
                                                         {"workspace", "#c9b458"},
                                                         {"communicators", "#86c9ac"},
                                                         {"carried", kLoad},
                                                         {"context", series_color(7)},
                                                         {"fragmentation", series_color(6)}};
  const auto found = own.find(name);
  return found == own.end() ? series_color(number) : found->second;
}

std::string color_of_share(double share) {
  constexpr std::array<double, 3> kPale = {238, 243, 249}, kFull = {59, 116, 181};
  std::array<int, 3> mixed{};
  for (std::size_t c = 0; c < mixed.size(); ++c)
    mixed[c] = static_cast<int>(
        std::lround(kPale[c] + std::clamp(share, 0.0, 1.0) * (kFull[c] - kPale[c])));
  return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

}  // namespace rehearse::figures
