#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "model/base/text.h"
#include "model/scenario/profiles.h"
#include "model/scenario/scenario.h"
#include "tools/keys/starter.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelBuilder& builder : model_builders())
    names.emplace_back(builder.kind);
  return names;
}

Syntax syntax() {
  const Starter preset;
  return {{"FILE"},
          {{"model", "KIND", "of network (" + preset.model + ")", model_names()},
           {"device",
            "NAME",
            "of a profile in scenarios/devices, or its path from FILE (" + preset.device + ")",
            {},
            profile_names(profile_path("."))},
           {"nodes", "N", "how many there are (2; of CPUs 1)"},
           {"devices-per-node", "N", "how many each has (8; of CPUs 4 ranks)"},
           {"force", "", "replace a file that is there"}}};
}

Result<Starter> read_starter(const Arguments& arguments) {
  Starter starter;
  const auto nodes = arguments.count("nodes", starter.nodes, 1);
  const auto devices = arguments.count("devices-per-node", starter.devices_per_node, 1);
  if (!nodes) return nodes.errors();
  if (!devices) return devices.errors();
  starter.nodes = *nodes;
  starter.devices_per_node = *devices;
  starter.model = arguments.get("model").value_or(starter.model);
  starter.device = arguments.get("device").value_or(starter.device);
  return starter;
}

// The device, by its name or its path from the scenario. Errors: there is none.
Result<Device> device_of(const Starter& starter, const std::string& path) {
  const ProfilePath profiles = profile_path(path);
  const bool is_path =
      starter.device.find('/') != std::string::npos || starter.device.ends_with(".yaml");
  if (is_path)
    return read_device((std::filesystem::path(path).parent_path() / starter.device).string());
  const std::vector<std::string> names = profile_names(profiles);
  for (const std::string& directory : profiles.directories) {
    const std::string file = fmt::format("{}/{}.yaml", directory, starter.device);
    if (std::filesystem::exists(file)) return read_device(file);
  }
  const auto guess = nearest(starter.device, names);
  return error(fmt::format("--device expects one of {}, or a path, got '{}'{}", join(names, ", "),
                           starter.device,
                           guess ? fmt::format("; did you mean '{}'?", *guess) : ""));
}

// CPUs begin with less, all that is not asked for.
void fit_to(const Device& device, const Arguments& arguments, Starter& starter) {
  if (device.kind != DeviceKind::cpu) return;
  starter.is_small = true;
  if (!arguments.has("nodes")) starter.nodes = 1;
  if (!arguments.has("devices-per-node")) starter.devices_per_node = 4;
}

// In the first type that the device computes in. Errors: as a scenario's, which it has to be.
Result<std::string> text_of(Starter starter, const std::string& path) {
  Diagnostics errors;
  for (const char* type : {"bf16", "fp16", "fp32"}) {
    if (starter.is_small && type != std::string_view("fp32")) continue;
    starter.dtype = type;
    Result<std::string> text = print_starter(starter);
    if (!text) return text.errors();
    const Result<Scenario> read = parse_scenario(*text, path, profile_path(path));
    if (read) return text;
    if (errors.empty()) errors = read.errors();
  }
  return errors;
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("FILE");
  if (std::filesystem::exists(path) && !arguments.has("force"))
    return fail(error(fmt::format("'{}' is there already; --force replaces it", path)));
  Result<Starter> starter = read_starter(arguments);
  if (!starter) return fail(starter.errors()), kWrongCommandLine;
  const Result<Device> device = device_of(*starter, path);
  if (!device) return fail(device.errors()), kWrongCommandLine;
  fit_to(*device, arguments, *starter);
  const Result<std::string> text = text_of(*starter, path);
  if (!text) return fail(text.errors());
  const Status written = write_file(path, *text);
  if (!written) return fail(written.errors());
  std::cout << fmt::format("wrote {}; 'rehearse simulate {}' compares its strategies\n", path,
                           path);
  return kDone;
}

}  // namespace

Command init_command() {
  return {"init", "write a commented scenario to start from", syntax, run};
}

}  // namespace rehearse::cli
