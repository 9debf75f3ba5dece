#include "model/base/check.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

namespace rehearse {

void report_bug(const char* file, int line, std::string_view expression, std::string_view message) {
  fmt::print(stderr, "{}:{}: bug in rehearse: {}: {}\n", file, line, expression, message);
  std::fflush(stderr);
  std::abort();
}

}  // namespace rehearse
