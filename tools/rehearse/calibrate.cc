#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "cost/calibrate.h"
#include "model/base/text.h"
#include "model/net/pack.h"
#include "model/scenario/scenario.h"
#include "tools/cli/terminal.h"
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

// Of three digits, or as many as stand before the point.
std::string digits(double number) {
  return number < 1000 ? fmt::format("{:.3g}", number) : fmt::format("{:.0f}", number);
}

// "149 to 179", in the column's unit; "149 or more".
std::string text_of(const std::optional<Interval>& interval, double unit) {
  if (!interval) return "-";
  if (std::isinf(interval->high)) return digits(interval->low / unit) + " or more";
  return fmt::format("{} to {}", digits(interval->low / unit), digits(interval->high / unit));
}

// The table's last columns, whose units are in their headings.
class ConfidenceColumns {
 public:
  explicit ConfidenceColumns(const Calibration& calibration) {
    constexpr double kManyFlops = 1e13;
    for (const ClassFit& fit : calibration.classes) {
      if (fit.confidence.compute && fit.confidence.compute->low > kManyFlops) is_in_tera_ = true;
    }
  }
  std::vector<std::string> headings() const {
    return {is_in_tera_ ? "compute, TFLOP/s" : "compute, GFLOP/s", "memory, GB/s", "overhead, us"};
  }
  std::vector<std::string> of(const ClassFit& fit) const {
    if (fit.borrowed_from) return {"-", "-", "-"};
    return {text_of(fit.confidence.compute, is_in_tera_ ? 1e12 : 1e9),
            text_of(fit.confidence.memory, 1e9), text_of(fit.confidence.overhead, 1e-6)};
  }

 private:
  bool is_in_tera_ = false;
};

constexpr std::string_view kUntold =
    "-: no sample tells, and a rate is that of the fastest kernel, an overhead nothing, or no more "
    "samples count than there are rates to fit";

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

// Of classes most of whose samples the fit does not follow.
std::vector<std::string> doubts(const Calibration& calibration) {
  std::vector<std::string> all;
  for (const ClassFit& fit : calibration.classes) {
    if (2 * fit.outliers > fit.samples)
      all.push_back(
          fmt::format("warning: {} of {} samples of {} are outliers, its rates are those of few: "
                      "measure again",
                      fit.outliers, fit.samples, to_string(fit.kernel)));
  }
  return all;
}

// How well the profile prices what it was fitted to, and how certain its rates are.
StyledText print_fits(const Calibration& calibration) {
  const ConfidenceColumns confidence(calibration);
  std::vector<std::vector<std::string>> rows = {
      {"kernel class", "samples", "outliers", "median error", "worst error"}};
  const auto append = [&](const std::vector<std::string>& texts) {
    rows.back().insert(rows.back().end(), texts.begin(), texts.end());
  };
  append(confidence.headings());
  for (const ClassFit& fit : calibration.classes) {
    rows.push_back({std::string(to_string(fit.kernel)), std::to_string(fit.samples)});
    if (fit.borrowed_from) {
      append({"-", "as " + std::string(to_string(*fit.borrowed_from)), "-"});
    } else {
      append({std::to_string(fit.outliers), percent(fit.median_error), percent(fit.worst_error)});
    }
    append(confidence.of(fit));
  }
  StyledText text = align_columns(rows) + fmt::format("rates with 90 % confidence; {}\n", kUntold);
  for (const std::string& doubt : doubts(calibration))
    text += doubt + "\n";
  return text;
}

StyledText print_checks(const std::vector<CheckedTime>& checked) {
  std::vector<std::vector<std::string>> rows = {
      {"predicted without it", "measured", "priced", "off by"}};
  for (const CheckedTime& one : checked) {
    rows.push_back({one.what, human(one.measured), human(one.priced),
                    fmt::format("{:+.1f} %", 100 * (one.priced / one.measured - 1))});
  }
  return align_columns(rows);
}

StyledText print_errors(const Calibration& calibration) {
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

// Of so many significant digits as measurements are good for.
template <class T>
T rounded(double in_unit, std::string_view unit, std::optional<T> (*parse)(std::string_view)) {
  return parse(fmt::format("{:.4g} {}", in_unit, unit)).value();
}
FlopsPerSecond rounded(FlopsPerSecond rate) {
  return rounded(rate.flops_per_second() * 1e-9, "GFLOP/s", parse_flop_rate);
}
BytesPerSecond rounded(BytesPerSecond rate) {
  return rounded(rate.bytes_per_second() * 1e-9, "GB/s", parse_bandwidth);
}
Seconds rounded_us(Seconds duration) {
  return rounded(duration.seconds() * 1e6, "us", parse_seconds);
}
Seconds rounded_ns(Seconds duration) {
  return rounded(duration.seconds() * 1e9, "ns", parse_seconds);
}
double rounded(double number) {
  return *parse_number(fmt::format("{:.4g}", number));
}

// What a person reads and edits has no digits that nobody measured.
Device rounded(Device device) {
  device.memory_bandwidth = rounded(device.memory_bandwidth);
  for (auto& [type, rate] : device.peak)
    rate = rounded(rate);
  for (KernelRate& rate : device.kernels) {
    rate.compute = rounded(rate.compute);
    rate.memory = rounded(rate.memory);
    rate.overhead = rounded_us(rate.overhead);
  }
  device.launch = rounded_us(device.launch);
  Messaging& m = device.messaging;
  for (Seconds* of_message : {&m.latency, &m.per_message, &m.collective})
    *of_message = rounded_us(*of_message);
  for (Seconds* of_byte : {&m.send_per_byte, &m.receive_per_byte, &m.reduce_per_byte})
    *of_byte = rounded_ns(*of_byte);
  for (double& work : device.capacity)
    work = rounded(work);
  if (device.errors) {
    for (double* error :
         {&device.errors->computing, &device.errors->messages, &device.errors->strategy})
      *error = rounded(*error);
  }
  device.workspace = align_up(device.workspace, Bytes::kib(1));
  return device;
}

// The profile, with what its numbers are worth as comments.
std::string print_profile(const Calibration& calibration) {
  const ConfidenceColumns confidence(calibration);
  std::vector<std::vector<std::string>> rows = {confidence.headings()};
  rows.front().insert(rows.front().begin(), "");
  for (const ClassFit& fit : calibration.classes) {
    if (fit.borrowed_from) continue;
    rows.push_back(confidence.of(fit));
    rows.back().insert(rows.back().begin(), std::string(to_string(fit.kernel)));
  }
  std::string text = print_device(rounded(calibration.device));
  text += fmt::format("# Rates of kernels with 90 % confidence ({}):\n", kUntold);
  const std::string table = align_columns(rows).plain();
  for (const std::string_view line :
       split(std::string_view(table).substr(0, table.size() - 1), '\n'))
    text += fmt::format("#   {}\n", line);
  for (const ClassFit& fit : calibration.classes) {
    if (fit.borrowed_from)
      text += fmt::format("#   {}: assumed to be as {}\n", to_string(fit.kernel),
                          to_string(*fit.borrowed_from));
  }
  for (const std::string& doubt : doubts(calibration))
    text += fmt::format("# {}\n", doubt);
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
  return fmt::format(
      "messages: median error {}; with 90 % confidence one of no bytes takes {} us, a byte {} ns, "
      "adding a byte {} ns\n",
      percent(fit.median_error), text_of(fit.fixed, 1e-6), text_of(fit.per_byte, 1e-9),
      text_of(fit.reduce_per_byte, 1e-9));
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
  print(print_fits(*calibration) +
        (samples->gpu ? print_gpu(*samples, calibration->device) : print_messages(*calibration)) +
        print_errors(*calibration) + fmt::format("profile written to {}\n", *out));
  return kDone;
}

}  // namespace

Command calibrate_command() {
  return {"calibrate", "fit a device profile to measured samples", syntax, run};
}

}  // namespace rehearse::cli
