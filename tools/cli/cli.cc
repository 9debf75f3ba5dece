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
#include "tools/cli/terminal.h"

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
      check_choice(option, arguments.options_.back().second);
    }
    return arguments;
  }

 private:
  static void check_choice(const Option& option, const std::string& value) {
    const std::vector<std::string>& all = option.choices;
    if (all.empty() || std::count(all.begin(), all.end(), value) > 0) return;
    const auto guess = nearest(value, all);
    throw po::error(fmt::format("--{} expects {}, got '{}'{}", option.name, one_of(all), value,
                                guess ? fmt::format("; did you mean '{}'?", *guess) : ""));
  }

  // "text, grid or csv"
  static std::string one_of(const std::vector<std::string>& words) {
    std::string text = words.front();
    for (std::size_t w = 1; w < words.size(); ++w)
      text += (w + 1 < words.size() ? ", " : " or ") + words[w];
    return text;
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

std::string overview(const Program& program) {
  std::size_t width = 0;
  for (const Command& command : program.commands)
    width = std::max(width, command.name.size());
  std::string text = fmt::format("{}\n\nusage: {} COMMAND ...\n\n", program.help, program.name);
  for (const Command& command : program.commands)
    text += fmt::format("  {:<{}} {}\n", command.name, width, command.help);
  text += fmt::format("\n'{} COMMAND --help' shows a command's options\n", program.name);
  for (const Topic& topic : program.topics)
    text += fmt::format("'{} help {}' {}\n", program.name, topic.name, topic.help);
  return text +
         fmt::format(
             "'{0} completion bash' (zsh, fish) prints completions, '{0} man' the manual page\n"
             "'{0} --version' prints the version\n",
             program.name);
}

const Command* find_command(const Program& program, std::string_view name) {
  const auto found = std::find_if(program.commands.begin(), program.commands.end(),
                                  [&](const Command& command) { return command.name == name; });
  return found == program.commands.end() ? nullptr : &*found;
}

// There is no such thing in the program; what may be meant.
int unknown_word(const Program& program, std::string_view word, bool are_topics) {
  std::vector<std::string> names;
  for (const Command& command : program.commands)
    names.emplace_back(command.name);
  if (are_topics) {
    for (const Topic& topic : program.topics)
      names.emplace_back(topic.name);
  }
  const auto guess = nearest(word, names);
  std::cerr << fmt::format("error: there is no {} '{}'{}\n", are_topics ? "help on" : "command",
                           word, guess ? fmt::format("; did you mean '{}'?", *guess) : "")
            << fmt::format("'{} --help' lists them\n", program.name);
  return kWrongCommandLine;
}

int print_result(const Result<std::string>& text) {
  if (!text) {
    print_errors(text.errors());
    return kWrongCommandLine;
  }
  std::cout << *text;
  return flush_results(kDone);
}

// words: behind `help`.
int run_help(const Program& program, const std::vector<std::string>& words) {
  if (words.empty()) return print_result(overview(program));
  if (const Command* command = find_command(program, words[0]))
    return run_command(program.name, *command, {"--help"});
  for (const Topic& topic : program.topics) {
    if (topic.name != words[0]) continue;
    if (words.size() > 2) {
      std::cerr << fmt::format("error: unexpected '{}'\n", words[2]);
      return kWrongCommandLine;
    }
    return print_result(topic.print(words.size() > 1 ? words[1] : ""));
  }
  return unknown_word(program, words[0], true);
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

int run_program(const Program& program, int argc, const char* const* argv) {
  // A failed check aborts: to users that is exit code 3.
  std::signal(SIGABRT, [](int) { _exit(kBug); });
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) {
    std::cerr << overview(program);
    return kWrongCommandLine;
  }
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (words[0] == "--help" || words[0] == "-h") return run_help(program, {});
  if (words[0] == "--version" && rest.empty())
    return print_result(fmt::format("{} {}\n", program.name, REHEARSE_VERSION));
  if (words[0] == "help") return run_help(program, rest);
  if (words[0] == "man" && rest.empty()) return print_result(man_page(program));
  if (words[0] == "completion" && rest.size() < 2)
    return print_result(completion(program, rest.empty() ? std::string() : rest[0]));
  if (words[0] == "man" || words[0] == "completion" || words[0] == "--version") {
    std::cerr << fmt::format("error: unexpected '{}'\n", rest.back());
    return kWrongCommandLine;
  }
  if (const Command* command = find_command(program, words[0]))
    return run_command(program.name, *command, rest);
  return unknown_word(program, words[0], false);
}

int fail(const Diagnostics& errors) {
  print_errors(errors);
  return kWrongInput;
}

}  // namespace rehearse::cli
