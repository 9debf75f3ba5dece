// What the programs share: a table of commands, their options, exit codes, files.
//
// Results go to stdout, diagnostics to stderr. 0: done; 1: the input is wrong or infeasible; 2: the
// command line is; 3: a bug of ours.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse::cli {

inline constexpr int kDone = 0, kWrongInput = 1, kWrongCommandLine = 2, kBug = 3;

struct Option {
  std::string name;
  std::string value;  // what it takes: "FILE"; empty: a flag
  std::string help;
  // The values there are, where they are few: any other is a wrong command line.
  std::vector<std::string> choices = {};
  // Values that completions offer beside others.
  std::vector<std::string> offered = {};
};

// The names of a table's rows: anything that to_string takes.
template <class Rows>
std::vector<std::string> names_of(const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows)
    names.emplace_back(to_string(row));
  return names;
}

struct Syntax {
  // "SCENARIO"; all are needed. The last one may be "SCENARIO...": one or more.
  std::vector<std::string> positional;
  std::vector<Option> options;
};

// A parsed command line.
class Arguments {
 public:
  const std::string& at(std::string_view positional) const;
  std::vector<std::string> all(std::string_view positional) const;
  bool has(std::string_view option) const;
  std::optional<std::string> get(std::string_view option) const;
  // Errors name the option: not a number of at least `least`.
  Result<std::int64_t> count(std::string_view option, std::int64_t preset,
                             std::int64_t least) const;

 private:
  friend struct Parser;
  std::vector<std::pair<std::string, std::string>> positional_, options_;
};

struct Command {
  std::string_view name, help;
  Syntax (*syntax)();
  int (*run)(const Arguments& arguments);
};

// Something beside commands that `help` tells of: `help scenario`.
struct Topic {
  std::string_view name, help;
  // word: what was asked for inside it, or empty. Errors: there is no such thing.
  Result<std::string> (*print)(const std::string& word);
};

struct Program {
  std::string_view name, help;
  std::vector<Command> commands;  // sorted by name
  std::vector<Topic> topics = {};
};

// Finds the command, parses its line, runs it. Beside them every program has
// `help [COMMAND|TOPIC [WORD]]`, `completion bash|zsh|fish`, `man` and `--version`.
int run_program(const Program& program, int argc, const char* const* argv);

// The shell's code that completes the program's commands, their options, and what these take:
// words, files or folders. Errors: there is no such shell.
Result<std::string> completion(const Program& program, std::string_view shell);
// The manual page, in roff's man macros.
std::string man_page(const Program& program);

// Prints the errors; kWrongInput.
int fail(const Diagnostics& errors);

Result<std::string> read_file(const std::string& path);
// Makes the directories above it.
Status write_file(const std::string& path, const std::string& text);
// Whether write_file could: asked before work that would be lost. Leaves no file behind.
Status check_writable(const std::string& path);
// The same of what the option --out names, if it is given.
Status check_out(const Arguments& arguments);

}  // namespace rehearse::cli
