// Completions of shells, and the manual page: both from the table of commands.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "model/base/text.h"
#include "tools/cli/cli.h"

namespace rehearse::cli {
namespace {

constexpr std::string_view kShells[] = {"bash", "fish", "zsh"};

// Commands of every program.
struct OwnCommand {
  std::string_view name, help;
};
constexpr OwnCommand kOwn[] = {
    {"completion", "print completions for a shell: bash, fish or zsh"},
    {"help", "explain a command or a topic"},
    {"man", "print the manual page"},
};

std::vector<std::string> command_names(const Program& program) {
  std::vector<std::string> names;
  for (const Command& command : program.commands)
    names.emplace_back(command.name);
  for (const OwnCommand& own : kOwn)
    names.emplace_back(own.name);
  std::sort(names.begin(), names.end());
  return names;
}

// "rehearse-exec" is no name of a function.
std::string function_name(const Program& program) {
  std::string name = fmt::format("_{}", program.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// What a shell offers for the value of an option.
enum class Offer { nothing, choices, strategies, files, directories };

std::vector<std::string> choices_of(const Option& option) {
  std::vector<std::string> all = option.choices;
  all.insert(all.end(), option.offered.begin(), option.offered.end());
  return all;
}

// Prints the names of a scenario's strategies.
constexpr std::string_view kPrintStrategies = "rehearse strategies --of";

Offer offer_of(const Option& option) {
  if (!choices_of(option).empty()) return Offer::choices;
  if (option.name == "strategy" && !option.value.empty()) return Offer::strategies;
  for (const std::string_view path : {"FILE", "PROFILE", "SAMPLES", "SCENARIO"}) {
    if (option.value == path) return Offer::files;
  }
  return option.value == "DIR" ? Offer::directories : Offer::nothing;
}

std::vector<std::string> help_words(const Program& program) {
  std::vector<std::string> words;
  for (const Command& command : program.commands)
    words.emplace_back(command.name);
  for (const Topic& topic : program.topics)
    words.emplace_back(topic.name);
  std::sort(words.begin(), words.end());
  return words;
}

std::string option_words(const Command& command) {
  std::string words = "--help";
  for (const Option& option : command.syntax().options)
    words += " --" + option.name;
  return words;
}

// ---- bash --------------------------------------------------------------------------------------

// What the function's variables are for a command: its options, and by the word before what to
// offer: words, files (compgen's -f or -d), or, if both are empty, nothing.
std::string bash_case(const Command& command, const std::string& function) {
  const Syntax syntax = command.syntax();
  std::string text = fmt::format("    {})\n      options='{}' paths={}\n", command.name,
                                 option_words(command), syntax.positional.empty() ? "" : "-f");
  if (syntax.options.empty()) return text + "      ;;\n";
  text += "      case $before in\n";
  for (const Option& option : syntax.options) {
    if (option.value.empty()) continue;
    const Offer offer = offer_of(option);
    if (offer == Offer::strategies) {
      text += fmt::format("        --{}) options= paths=; words=$({}_strategies) ;;\n", option.name,
                          function);
      continue;
    }
    text += fmt::format("        --{}) options= words='{}' paths={} ;;\n", option.name,
                        join(choices_of(option), " "),
                        offer == Offer::files         ? "-f"
                        : offer == Offer::directories ? "-d"
                                                      : "");
  }
  return text + "      esac ;;\n";
}

std::string bash(const Program& program) {
  const std::string function = function_name(program);
  std::string text = fmt::format(
      "# bash completion of {0}\n"
      "{1}_strategies() {{\n"
      "  local file\n"
      "  for file in \"${{COMP_WORDS[@]:2}}\"; do\n"
      "    [ -f \"$file\" ] && {3} \"$file\" 2> /dev/null && return\n"
      "  done\n"
      "}}\n"
      "{1}() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n"
      "  local options= words= paths=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W '{2}' -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case ${{COMP_WORDS[1]}} in\n",
      program.name, function, join(command_names(program), " "), kPrintStrategies);
  for (const Command& command : program.commands)
    text += bash_case(command, function);
  text += fmt::format("    help) [ \"$before\" = help ] && words='{}' ;;\n",
                      join(help_words(program), " "));
  text += "    completion) [ \"$before\" = completion ] && words='bash fish zsh' ;;\n";
  // A path of an option's value is no option, whatever it begins with.
  return text + fmt::format(
                    "  esac\n"
                    "  COMPREPLY=()\n"
                    "  if [[ $word == -* && -n $options ]]; then\n"
                    "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
                    "  elif [ -n \"$words\" ]; then\n"
                    "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                    "  elif [ -n \"$paths\" ]; then\n"
                    "    local IFS=$'\\n'\n"
                    "    COMPREPLY=($(compgen $paths -- \"$word\"))\n"
                    "  fi\n"
                    "}}\n"
                    "complete -o filenames -F {} {}\n",
                    function, program.name);
}

// ---- zsh and fish ------------------------------------------------------------------------------

// Inside single quotes of a shell.
std::string quoted(std::string_view text, std::string_view more = "") {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      if (more.find(c) != std::string_view::npos) result += '\\';
      result += c;
    }
  }
  return result + "'";
}

// What _arguments takes behind an option.
std::string zsh_value(const Option& option) {
  if (option.value.empty()) return "";
  std::string text = ":" + option.value + ":";
  switch (offer_of(option)) {
    case Offer::nothing:
      return text + " ";
    case Offer::choices:
      return text + "(" + join(choices_of(option), " ") + ")";
    case Offer::strategies:
      return text + "{compadd -- ${(f)\"$(" + std::string(kPrintStrategies) +
             " $words[3] 2> /dev/null)\"}}";
    case Offer::files:
      return text + "_files";
    case Offer::directories:
      return text + "_files -/";
  }
  return text;
}

std::string zsh(const Program& program) {
  std::string text = fmt::format("#compdef {}\nlocal -a commands\ncommands=(\n", program.name);
  for (const Command& command : program.commands)
    text += fmt::format("  {}\n", quoted(fmt::format("{}:{}", command.name, command.help)));
  for (const OwnCommand& own : kOwn)
    text += fmt::format("  {}\n", quoted(fmt::format("{}:{}", own.name, own.help)));
  text +=
      ")\nif (( CURRENT == 2 )); then\n  _describe command commands\n  return\nfi\n"
      "case $words[2] in\n";
  for (const Command& command : program.commands) {
    text += fmt::format("  {}) _arguments -S '--help[show this text]'", command.name);
    const Syntax syntax = command.syntax();
    for (const Option& option : syntax.options) {
      text += fmt::format(" '--{}['{}']{}'", option.name, quoted(option.help, "[]:"),
                          zsh_value(option));
    }
    text += syntax.positional.empty() ? " ;;\n" : " '*:file:_files' ;;\n";
  }
  return text + fmt::format(
                    "  help) (( CURRENT == 3 )) && _values topic {} ;;\n"
                    "  completion) (( CURRENT == 3 )) && _values shell bash fish zsh ;;\nesac\n",
                    join(help_words(program), " "));
}

std::string fish_value(const Option& option) {
  if (option.value.empty()) return "";
  switch (offer_of(option)) {
    case Offer::nothing:
      return " -x";
    case Offer::choices:
      return " -x -a " + quoted(join(choices_of(option), " "));
    case Offer::strategies:
      return fmt::format(
          " -x -a '(for f in (commandline -opc)[3..-1]; test -f $f; and {} $f 2> "
          "/dev/null; end)'",
          kPrintStrategies);
    case Offer::files:
      return " -r -F";
    case Offer::directories:
      return " -x -a '(__fish_complete_directories)'";
  }
  return "";
}

std::string fish(const Program& program) {
  std::string text = fmt::format("# fish completion of {}\n", program.name);
  const auto add_command = [&](std::string_view name, std::string_view help) {
    text += fmt::format("complete -c {} -n __fish_use_subcommand -f -a {} -d {}\n", program.name,
                        name, quoted(help));
  };
  for (const Command& command : program.commands)
    add_command(command.name, command.help);
  for (const OwnCommand& own : kOwn)
    add_command(own.name, own.help);
  const auto add = [&](std::string_view command, const std::string& rest) {
    text += fmt::format("complete -c {} -n '__fish_seen_subcommand_from {}' {}\n", program.name,
                        command, rest);
  };
  for (const Command& command : program.commands) {
    const Syntax syntax = command.syntax();
    if (syntax.positional.empty()) add(command.name, "-f");
    for (const Option& option : syntax.options)
      add(command.name,
          fmt::format("-l {}{} -d {}", option.name, fish_value(option), quoted(option.help)));
  }
  add("help", "-f -a " + quoted(join(help_words(program), " ")));
  add("completion", "-f -a 'bash fish zsh'");
  add("man", "-f");
  return text;
}

// Of roff: a line that begins with a dot is a request, a backslash an escape, '-' a hyphen.
std::string roff(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  const bool is_request = result.starts_with('.') || result.starts_with('\'');
  return is_request ? "\\&" + result : result;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return result;
}

std::string man_command(const Program& program, const Command& command) {
  const Syntax syntax = command.syntax();
  std::string text = fmt::format(".SS {}\n{}.\n.PP\n.B {} {}\n", roff(command.name),
                                 roff(command.help), roff(program.name), roff(command.name));
  for (const std::string& word : syntax.positional)
    text += fmt::format(".I {}\n", roff(word));
  if (!syntax.options.empty()) text += "[options]\n";
  for (const Option& option : syntax.options)
    text += fmt::format(".TP\n.BI {} {}\n{}\n", roff("--" + option.name),
                        option.value.empty() ? "" : "\" " + roff(option.value) + "\"",
                        roff(option.help));
  return text;
}

}  // namespace

Result<std::string> completion(const Program& program, std::string_view shell) {
  if (shell == "bash") return bash(program);
  if (shell == "fish") return fish(program);
  if (shell == "zsh") return zsh(program);
  std::vector<std::string> names(std::begin(kShells), std::end(kShells));
  return error(fmt::format("completions are for {}, not '{}'", join(names, ", "), shell));
}

std::string man_page(const Program& program) {
  std::string text = fmt::format(
      ".TH {} 1\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n.I COMMAND\n"
      "[options]\n.SH COMMANDS\n",
      upper(roff(program.name)), roff(program.name), roff(program.help), roff(program.name));
  for (const Command& command : program.commands)
    text += man_command(program, command);
  text += ".SS help\nExplain a command";
  for (const Topic& topic : program.topics)
    text += fmt::format(", or the topic\n.B {}\n\\- it {}", roff(topic.name), roff(topic.help));
  return text +
         ".\n.SS completion\nPrint completions for a shell: bash, fish or zsh.\n.SH EXIT STATUS\n"
         ".TP\n0\ndone\n.TP\n1\nthe input is wrong or infeasible\n.TP\n2\nthe command line is\n"
         ".TP\n3\na bug of ours\n";
}

}  // namespace rehearse::cli
