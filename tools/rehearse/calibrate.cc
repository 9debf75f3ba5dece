#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "cost/calibrate.h"
#include "model/base/text.h"
#include "model/scenario/scenario.h"
#include "tools/rehearse/commands.h"
#include "tools/summary/table.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SAMPLES"},
          {{"out", "PROFILE", "write the device profile to this file (default: stdout)"},
           {"name", "NAME", "name of the device (default: that of the file)"}}};
}

// How well the profile prices what it was fitted to.
std::string print_fits(const Calibration& calibration) {
  std::vector<std::vector<std::string>> rows = {
      {"kernel class", "samples", "median error", "worst error"}};
  for (const ClassFit& fit : calibration.classes) {
    const std::string name(to_string(fit.kernel));
    if (fit.borrowed_from) {
      rows.push_back({name, std::to_string(fit.samples),
                      "as " + std::string(to_string(*fit.borrowed_from)), "-"});
    } else {
      rows.push_back({name, std::to_string(fit.samples),
                      fmt::format("{:.1f} %", 100 * fit.median_error),
                      fmt::format("{:.1f} %", 100 * fit.worst_error)});
    }
  }
  return align_columns(rows);
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SAMPLES");
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.errors());
  const Result<Samples> samples = parse_samples(*text, path);
  if (!samples) return fail(samples.errors());
  Device base;
  base.kind = DeviceKind::cpu;
  const auto out = arguments.get("out");
  base.name = arguments.get("name").value_or(out ? std::filesystem::path(*out).stem().string()
                                                 : "calibrated");
  const Result<Calibration> calibration = calibrate(*samples, base);
  if (!calibration) return fail(calibration.errors());
  const std::string profile = print_device(calibration->device);
  if (!out) return std::cout << profile, kDone;
  const Status written = write_file(*out, profile);
  if (!written) return fail(written.errors());
  std::cout << print_fits(*calibration)
            << (samples->messages.empty()
                    ? "messages: none measured (one rank): this profile has them for nothing\n"
                    : fmt::format("messages: median error {:.1f} %\n",
                                  100 * calibration->message_error))
            << fmt::format("profile written to {}\n", *out);
  return kDone;
}

}  // namespace

Command calibrate_command() {
  return {"calibrate", "fit a device profile to measured samples", syntax, run};
}

}  // namespace rehearse::cli
