#include "tools/cli/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::cli {

namespace po = boost::program_options;

struct Parser {
  static po::options_description describe(const Syntax& syntax) {
    po::options_description options("options");
    options.add_options()("help,h", "show this text");
    for (const Option& option : syntax.options) {
      if (option.value.empty()) {
        options.add_options()(option.name.c_str(), option.help.c_str());
      } else {
        options.add_options()(option.name.c_str(),
                              po::value<std::string>()->value_name(option.value),
                              option.help.c_str());
      }
    }
    return options;
  }

  // Throws the library's exceptions, which run_command() turns into messages.
  static Arguments parse(const Syntax& syntax, const po::variables_map& values) {
    Arguments arguments;
    const auto words = values.count("words") > 0 ? values["words"].as<std::vector<std::string>>()
                                                 : std::vector<std::string>{};
    if (words.size() < syntax.positional.size()) {
      throw po::error(fmt::format("{} is missing", syntax.positional[words.size()]));
    }
    const bool repeats = !syntax.positional.empty() && syntax.positional.back().ends_with("...");
    if (words.size() > syntax.positional.size() && !repeats) {
      throw po::error(fmt::format("unexpected '{}'", words[syntax.positional.size()]));
    }
    for (std::size_t w = 0; w < words.size(); ++w)
      arguments.positional_.emplace_back(
          syntax.positional[std::min(w, syntax.positional.size() - 1)], words[w]);
    for (const Option& option : syntax.options) {
      if (values.count(option.name) == 0) continue;
      arguments.options_.emplace_back(
          option.name, option.value.empty() ? "" : values[option.name].as<std::string>());
    }
    return arguments;
  }
};

namespace {

std::string usage(std::string_view program, const Command& command) {
  std::string line = fmt::format("usage: {} {}", program, command.name);
  for (const std::string& word : command.syntax().positional)
    line += " " + word;
  return line + " [options]";
}

std::string suggestion(const po::unknown_option& problem, const Syntax& syntax) {
  std::vector<std::string> names = {"--help"};
  for (const Option& option : syntax.options)
    names.push_back("--" + option.name);
  const auto guess = nearest(problem.get_option_name(), names);
  return guess ? fmt::format("; did you mean '{}'?", *guess) : "";
}

int wrong_command_line(std::string_view program, const Command& command,
                       const std::string& message) {
  std::cerr << "error: " << message << "\n" << usage(program, command) << "\n";
  return kWrongCommandLine;
}

// Results that did not reach their reader are no results.
int flush_results(int code) {
  if (std::cout.flush()) return code;
  std::cerr << "error: cannot write to the standard output\n";
  return std::max(code, kWrongInput);
}

int run_command(std::string_view program, const Command& command,
                const std::vector<std::string>& words) {
  const Syntax syntax = command.syntax();
  const po::options_description visible = Parser::describe(syntax);
  po::options_description all = visible;
  all.add_options()("words", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("words", -1);
  Arguments arguments;
  try {
    po::variables_map values;
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(words).options(all).positional(positional).style(style).run(),
              values);
    if (values.count("help") > 0) {
      std::cout << usage(program, command) << "\n" << command.help << "\n\n" << visible;
      return kDone;
    }
    arguments = Parser::parse(syntax, values);
  } catch (const po::unknown_option& problem) {
    return wrong_command_line(program, command, problem.what() + suggestion(problem, syntax));
  } catch (const po::error& problem) {
    return wrong_command_line(program, command, problem.what());
  }
  return flush_results(command.run(arguments));
}

std::string overview(std::string_view program, std::string_view help,
                     const std::vector<Command>& commands) {
  std::string text = fmt::format("{}\n\nusage: {} COMMAND ...\n\n", help, program);
  for (const Command& command : commands)
    text += fmt::format("  {:<10} {}\n", command.name, command.help);
  return text + fmt::format("\n'{} COMMAND --help' shows a command's options\n", program);
}

}  // namespace

const std::string& Arguments::at(std::string_view positional) const {
  const auto found = std::find_if(positional_.begin(), positional_.end(),
                                  [&](auto& p) { return p.first == positional; });
  REHEARSE_CHECK(found != positional_.end(), "no argument {}", positional);
  return found->second;
}

std::vector<std::string> Arguments::all(std::string_view positional) const {
  std::vector<std::string> words;
  for (const auto& [name, word] : positional_) {
    if (name == positional) words.push_back(word);
  }
  return words;
}

bool Arguments::has(std::string_view option) const {
  return get(option).has_value();
}

std::optional<std::string> Arguments::get(std::string_view option) const {
  const auto found =
      std::find_if(options_.begin(), options_.end(), [&](auto& o) { return o.first == option; });
  return found == options_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::int64_t> Arguments::count(std::string_view option, std::int64_t preset,
                                      std::int64_t least) const {
  const auto text = get(option);
  if (!text) return preset;
  const auto number = parse_integer(*text);
  if (number && *number >= least) return *number;
  return error(fmt::format("--{} expects a number of at least {}, got '{}'", option, least, *text));
}

int run_program(std::string_view program, std::string_view help,
                const std::vector<Command>& commands, int argc, const char* const* argv) {
  // A failed check aborts: to users that is exit code 3.
  std::signal(SIGABRT, [](int) { _exit(kBug); });
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    (words.empty() ? std::cerr : std::cout) << overview(program, help, commands);
    return words.empty() ? kWrongCommandLine : kDone;
  }
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& c) { return c.name == words[0]; });
  if (command != commands.end())
    return run_command(program, *command, {words.begin() + 1, words.end()});
  std::vector<std::string> names;
  for (const Command& c : commands)
    names.emplace_back(c.name);
  const auto guess = nearest(words[0], names);
  std::cerr << fmt::format("error: there is no command '{}'{}\n", words[0],
                           guess ? fmt::format("; did you mean '{}'?", *guess) : "")
            << fmt::format("'{} --help' lists them\n", program);
  return kWrongCommandLine;
}

int fail(const Diagnostics& errors) {
  std::cerr << format(errors);
  return kWrongInput;
}

}  // namespace rehearse::cli
