#include <fmt/format.h>

#include <algorithm>
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
           {"name", "NAME", "name of the device (default: that of the file)"},
           {"base", "PROFILE",
            "a profile whose peaks the new one has, too: no measurement tells them"}}};
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

// What is known beside the samples.
Result<Device> base_of(const Arguments& arguments) {
  Device base;
  const auto out = arguments.get("out");
  base.name = arguments.get("name").value_or(out ? std::filesystem::path(*out).stem().string()
                                                 : "calibrated");
  const auto profile = arguments.get("base");
  if (!profile) return base;
  const Result<Device> read = read_device(*profile);
  if (!read) return read.errors();
  base.peak = read->peak;
  return base;
}

// The fastest copies of a GPU, and what stands beside its kernels.
std::string print_gpu(const Samples& samples, const Device& device) {
  std::string text = fmt::format(
      "nearer than {}: {}\n",
      to_string(device.combine == Combine::roofline ? Combine::additive : Combine::roofline),
      to_string(device.combine));
  for (const CopyWay way : {CopyWay::within, CopyWay::to_device, CopyWay::to_host}) {
    BytesPerSecond most;
    for (const CopySample& copy : samples.copies) {
      if (copy.way == way) most = std::max(most, copy.bytes / copy.seconds);
    }
    if (most <= BytesPerSecond{}) continue;
    text += fmt::format("copies {}: up to {:.1f} GB/s\n", to_string(way),
                        most.bytes_per_second() * 1e-9);
  }
  if (samples.launch) {
    text +=
        fmt::format("launch: {:.2f} us of the host, {:.2f} us of the device\n",
                    samples.launch->host.seconds() * 1e6, samples.launch->device.seconds() * 1e6);
  }
  return text;
}

std::string print_messages(const Samples& samples, const Calibration& calibration) {
  if (samples.messages.empty())
    return "messages: none measured (one rank): this profile has them for nothing\n";
  return fmt::format("messages: median error {:.1f} %\n", 100 * calibration.message_error);
}

int run(const Arguments& arguments) {
  const Result<Device> base = base_of(arguments);
  if (!base) return fail(base.errors());
  const std::string& path = arguments.at("SAMPLES");
  const Result<std::string> text = read_file(path);
  if (!text) return fail(text.errors());
  const Result<Samples> samples = parse_samples(*text, path);
  if (!samples) return fail(samples.errors());
  const Result<Calibration> calibration = calibrate(*samples, *base);
  if (!calibration) return fail(calibration.errors());
  const std::string profile = print_device(calibration->device);
  const auto out = arguments.get("out");
  if (!out) return std::cout << profile, kDone;
  const Status written = write_file(*out, profile);
  if (!written) return fail(written.errors());
  std::cout << print_fits(*calibration)
            << (samples->gpu ? print_gpu(*samples, calibration->device)
                             : print_messages(*samples, *calibration))
            << fmt::format("profile written to {}\n", *out);
  return kDone;
}

}  // namespace

Command calibrate_command() {
  return {"calibrate", "fit a device profile to measured samples", syntax, run};
}

}  // namespace rehearse::cli
