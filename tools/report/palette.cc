#include "tools/report/palette.h"

#include <fmt/format.h>

#include "tools/report/page_text.h"

namespace rehearse {

std::string page_color(std::string_view name) {
  const std::string declared = fmt::format(" --{}: #", name);
  const std::size_t at = kLightColors.find(declared);
  if (at == std::string_view::npos) return "";
  const std::size_t begin = at + declared.size() - 1;
  return std::string(kLightColors.substr(begin, kLightColors.find(';', begin) - begin));
}

}  // namespace rehearse
