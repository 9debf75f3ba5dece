#include "tools/cli/terminal.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace rehearse::cli {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// Whether a launcher hands on what is written: some give every rank a terminal of its own, whatever
// their own output is.
bool is_launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    if (!environment(name).empty()) return true;
  }
  return false;
}

void write(std::ostream& out, int descriptor, const StyledText& text) {
  out << (shows_colour(descriptor) ? text.coloured() : text.plain()) << std::flush;
}

}  // namespace

bool shows_colour(int descriptor) {
  return isatty(descriptor) != 0 && environment("NO_COLOR").empty() &&
         environment("TERM") != "dumb" && !is_launched();
}

void print(const StyledText& text) {
  write(std::cout, STDOUT_FILENO, text);
}

void print_errors(const Diagnostics& errors) {
  write(std::cerr, STDERR_FILENO, styled(errors));
}

}  // namespace rehearse::cli
