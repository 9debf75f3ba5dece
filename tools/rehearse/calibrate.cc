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

template <class Unit>
std::string text_of(const std::optional<Interval>& interval, Unit (*unit)(double)) {
  if (!interval) return "at its bound";
  return fmt::format("{} to {}", human(unit(interval->low)), human(unit(interval->high)));
}

std::vector<std::string> texts_of(const RateIntervals& intervals) {
  return {text_of(intervals.compute, FlopsPerSecond::flops_per_second),
          text_of(intervals.memory, BytesPerSecond::bytes_per_second),
          text_of(intervals.overhead, Seconds::seconds)};
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

// How well the profile prices what it was fitted to, and how certain its rates are.
std::string print_fits(const Calibration& calibration) {
  std::vector<std::vector<std::string>> rows = {{"kernel class", "samples", "outliers",
                                                 "median error", "worst error", "compute, 90 %",
                                                 "memory, 90 %", "overhead, 90 %"}};
  for (const ClassFit& fit : calibration.classes) {
    rows.push_back({std::string(to_string(fit.kernel)), std::to_string(fit.samples)});
    std::vector<std::string>& row = rows.back();
    if (fit.borrowed_from) {
      row.push_back("-");
      row.push_back("as " + std::string(to_string(*fit.borrowed_from)));
      row.resize(rows.front().size(), "-");
      continue;
    }
    row.insert(row.end(),
               {std::to_string(fit.outliers), percent(fit.median_error), percent(fit.worst_error)});
    for (std::string& text : texts_of(fit.confidence))
      row.push_back(std::move(text));
  }
  return align_columns(rows);
}

std::string print_checks(const std::vector<CheckedTime>& checked) {
  std::vector<std::vector<std::string>> rows = {
      {"predicted without it", "measured", "priced", "off by"}};
  for (const CheckedTime& one : checked) {
    rows.push_back({one.what, human(one.measured), human(one.priced),
                    fmt::format("{:+.1f} %", 100 * (one.priced / one.measured - 1))});
  }
  return align_columns(rows);
}

std::string print_errors(const Calibration& calibration) {
  if (!calibration.errors)
    return "errors: not known, the samples have no networks' steps; measure again for a band\n";
  const ProfileErrors& found = *calibration.errors;
  std::vector<CheckedTime> all = found.networks;
  all.insert(all.end(), found.collectives.begin(), found.collectives.end());
  return print_checks(all) +
         fmt::format("run-to-run spread: steps {}, messages {}; contention of ranks: {}\n",
                     percent(found.step_spread), percent(found.message_spread),
                     percent(found.contention_deviation)) +
         fmt::format("errors: computing {:.3f}, messages {:.3f}, strategy {:.3f}\n",
                     found.errors.computing, found.errors.messages, found.errors.strategy);
}

// The profile, with what its numbers are worth as comments.
std::string print_profile(const Calibration& calibration) {
  std::string text = print_device(calibration.device) + "# 90 % confidence:\n";
  for (const ClassFit& fit : calibration.classes) {
    const std::vector<std::string> texts = texts_of(fit.confidence);
    text += fit.borrowed_from ? fmt::format("#   {}: assumed to be as {}\n", to_string(fit.kernel),
                                            to_string(*fit.borrowed_from))
                              : fmt::format("#   {}: compute {}, memory {}, overhead {}\n",
                                            to_string(fit.kernel), texts[0], texts[1], texts[2]);
  }
  return text;
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

std::string print_messages(const Calibration& calibration) {
  if (!calibration.messages)
    return "messages: none measured (one rank): this profile has them for nothing\n";
  const MessageFit& fit = *calibration.messages;
  const auto per_byte = [](const std::optional<Interval>& interval) {
    if (!interval) return std::string("at its bound");
    return fmt::format("{:.3g} to {:.3g} ns", 1e9 * interval->low, 1e9 * interval->high);
  };
  return fmt::format(
      "messages: median error {}; 90 %: one of no bytes {}, a byte {}, adding a byte {}\n",
      percent(fit.median_error), text_of(fit.fixed, Seconds::seconds), per_byte(fit.per_byte),
      per_byte(fit.reduce_per_byte));
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
  const std::string profile = print_profile(*calibration);
  const auto out = arguments.get("out");
  if (!out) return std::cout << profile, kDone;
  const Status written = write_file(*out, profile);
  if (!written) return fail(written.errors());
  std::cout << print_fits(*calibration)
            << (samples->gpu ? print_gpu(*samples, calibration->device)
                             : print_messages(*calibration))
            << print_errors(*calibration) << fmt::format("profile written to {}\n", *out);
  return kDone;
}

}  // namespace

Command calibrate_command() {
  return {"calibrate", "fit a device profile to measured samples", syntax, run};
}

}  // namespace rehearse::cli
