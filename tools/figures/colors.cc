#include "tools/figures/colors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "model/base/check.h"
#include "tools/report/palette.h"

namespace rehearse::figures {
namespace {

std::string known_color(std::string_view name) {
  std::string color = page_color(name);
  REHEARSE_CHECK(!color.empty(), "the page has no colour of '{}'", name);
  return color;
}

// Between two "#rrggbb".
std::string mixed(const std::string& from, const std::string& to, double share) {
  const auto part = [](const std::string& color, std::size_t k) {
    return std::stoi(color.substr(1 + 2 * k, 2), nullptr, 16);
  };
  std::array<long, 3> mixed{};
  for (std::size_t k = 0; k < mixed.size(); ++k) {
    const int begin = part(from, k), end = part(to, k);
    mixed[k] = std::lround(begin + std::clamp(share, 0.0, 1.0) * (end - begin));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2]);
}

}  // namespace

std::string color_of(OpKind kind) {
  return known_color(to_string(kind));
}

std::string color_of(BufferKind kind) {
  return known_color(to_string(kind));
}

std::string color_of_pass(char letter) {
  switch (letter) {
    case 'F':
      return color_of(OpKind::forward);
    case 'B':
      return color_of(OpKind::backward);
    case 'I':
      return color_of(OpKind::backward_input);
    case 'W':
      return color_of(OpKind::backward_weight);
    default:
      return "";
  }
}

std::string color_of_pool(const std::string& name, std::size_t number) {
  const std::string color = page_color(name);
  return color.empty() ? series_color(number) : color;
}

std::string color_of_share(double share) {
  return mixed("#eef3f9", known_color("series0"), share);
}

std::string color_of_load(double share) {
  return mixed(known_color("cold"), known_color("hot"), share);
}

std::string series_color(std::size_t number) {
  constexpr std::size_t kSeries = 8;
  return known_color(fmt::format("series{}", number % kSeries));
}

}  // namespace rehearse::figures
