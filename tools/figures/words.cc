#include "tools/figures/words.h"

#include <algorithm>

namespace rehearse::figures {

std::string words_of(std::string_view name) {
  const bool is_collective =
      name == "all_reduce" || name == "reduce_scatter" || name == "all_gather";
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', is_collective ? '-' : ' ');
  return text;
}

}  // namespace rehearse::figures
