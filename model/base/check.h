// Programmer errors: always-on checks that print the values and abort.
//
// REHEARSE_CHECK is for facts that only a bug in rehearse can break (exit by abort, never caught).
// What a user, a file or a machine can get wrong is a Diagnostic instead (diagnostic.h).
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace rehearse {

// Prints "file:line: bug: expression: message" on stderr and aborts.
[[noreturn]] void report_bug(const char* file, int line, std::string_view expression,
                             std::string_view message);

}  // namespace rehearse

// REHEARSE_CHECK(condition, format, values...): the message must show the values involved.
#define REHEARSE_CHECK(condition, ...)                                                    \
  do {                                                                                    \
    if (!(condition)) [[unlikely]] {                                                      \
      ::rehearse::report_bug(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
    }                                                                                     \
  } while (false)

// For the end of a switch over an enum that has no default.
#define REHEARSE_UNREACHABLE(what) ::rehearse::report_bug(__FILE__, __LINE__, "unreachable", (what))
