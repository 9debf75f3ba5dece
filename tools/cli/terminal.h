// Text on a terminal, where parts of it stand out; in files and pipes it is plain.
#pragma once

#include "model/base/diagnostic.h"
#include "model/base/styled_text.h"

namespace rehearse::cli {

// Whether what is written to the file descriptor may be coloured: it is a terminal, not a dumb one
// (TERM), no rank's under MPI, and the user does not object (NO_COLOR, https://no-color.org).
bool shows_colour(int descriptor);

// To the standard output, at once.
void print(const StyledText& text);
// To the standard error.
void print_errors(const Diagnostics& errors);

}  // namespace rehearse::cli
