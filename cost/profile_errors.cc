#include "cost/profile_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "cost/collective_cost.h"
#include "cost/fit_messages.h"
#include "cost/robust.h"
#include "model/base/check.h"

namespace rehearse {
namespace {

double root_mean_square(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values)
    squares += value * value;
  return values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
}

std::vector<double> log_errors(const std::vector<CheckedTime>& checked) {
  std::vector<double> errors;
  for (const CheckedTime& one : checked)
    errors.push_back(one.log_error());
  return errors;
}

// ---- run to run ------------------------------------------------------------------------------

constexpr std::size_t kStretches = 4;

double median_log(std::span<const Seconds> times) {
  std::vector<double> logs;
  for (const Seconds time : times)
    logs.push_back(std::log(time.seconds()));
  return weighted_median(logs, std::vector<double>(logs.size(), 1.0));
}

// Sum of squares about the least, of the medians of stretches.
double squares_of(const std::vector<Seconds>& repeats) {
  std::array<double, kStretches> medians{};
  for (std::size_t s = 0; s < kStretches; ++s) {
    const std::size_t begin = s * repeats.size() / kStretches,
                      end = (s + 1) * repeats.size() / kStretches;
    medians[s] = median_log(std::span(repeats).subspan(begin, end - begin));
  }
  const double least = *std::min_element(medians.begin(), medians.end());
  double squares = 0;
  for (const double median : medians)
    squares += (median - least) * (median - least);
  return squares;
}

// Of all samples with a repeat for each stretch together.
template <class Sample>
void pool(const std::vector<Sample>& samples, double& squares, double& count) {
  for (const Sample& sample : samples) {
    if (sample.repeats.size() < kStretches) continue;
    squares += squares_of(sample.repeats);
    count += kStretches;
  }
}

double step_spread(const Samples& samples) {
  double squares = 0, count = 0;
  pool(samples.steps, squares, count);
  return count > 0 ? std::sqrt(squares / count) : 0;
}

double message_spread(const Samples& samples) {
  double squares = 0, count = 0;
  pool(samples.messages, squares, count);
  pool(samples.collectives, squares, count);
  return count > 0 ? std::sqrt(squares / count) : 0;
}

// ---- computing -------------------------------------------------------------------------------

CheckedTime check(const Samples& samples, const KernelFit& fit, std::size_t step) {
  const StepSample& network = samples.steps[step];
  CheckedTime checked{fmt::format("{}, {} samples", network.network, network.samples), {}, {}};
  for (const KernelSample& kernel : samples.kernels) {
    if (kernel.step != step) continue;
    const auto calls = static_cast<double>(kernel.calls);
    checked.measured += calls * kernel.seconds;
    checked.priced += calls * priced(fit, kernel);
  }
  return checked;
}

std::vector<KernelSample> without(const Samples& samples, std::size_t step) {
  std::vector<KernelSample> others;
  for (const KernelSample& kernel : samples.kernels) {
    if (kernel.step != step) others.push_back(kernel);
  }
  return others;
}

KernelFit fit_of(const Device& device) {
  return {device.combine, device.kernels, {}};
}

std::vector<CheckedTime> check_networks(const Samples& samples, const Device& device) {
  std::vector<CheckedTime> checked;
  const Seconds launch = samples.launch ? samples.launch->device : Seconds{};
  for (std::size_t s = 0; s < samples.steps.size(); ++s) {
    const bool is_only = samples.steps.size() == 1;
    const Result<KernelFit> fit =
        is_only ? fit_of(device) : fit_kernels(without(samples, s), launch, device.combine);
    CheckedTime one = check(samples, fit ? *fit : fit_of(device), s);
    if (one.measured > Seconds{} && one.priced > Seconds{}) checked.push_back(std::move(one));
  }
  return checked;
}

// Of a sum of kernels, each off by itself.
double deviation_of_sum(const Samples& samples, const Device& device) {
  const KernelFit fit = fit_of(device);
  double squares = 0, sum = 0;
  for (const KernelSample& kernel : samples.kernels) {
    if (!kernel.step) continue;
    const double time = static_cast<double>(kernel.calls) * kernel.seconds.seconds();
    squares += std::pow(time * std::log(kernel.seconds / priced(fit, kernel)), 2);
    sum += time;
  }
  return sum > 0 ? std::sqrt(squares) / sum : 0;
}

// Of kernels that the capacity was not taken from.
double contention_deviation(const Samples& samples, const Device& device) {
  std::vector<double> errors;
  for (const CapacitySample& sample : samples.capacity) {
    const auto busy = static_cast<std::size_t>(sample.busy);
    if (busy < 2 || busy > device.capacity.size() || sample.work == device.capacity[busy - 1])
      continue;
    errors.push_back(std::log(device.capacity[busy - 1] / sample.work));
  }
  return root_mean_square(errors);
}

// Between sizes of one network.
std::vector<double> differences(const Samples& samples, const std::vector<CheckedTime>& checked) {
  std::vector<double> all;
  if (checked.size() != samples.steps.size()) return all;
  for (std::size_t a = 0; a < checked.size(); ++a) {
    for (std::size_t b = a + 1; b < checked.size(); ++b) {
      if (samples.steps[a].network == samples.steps[b].network)
        all.push_back(checked[a].log_error() - checked[b].log_error());
    }
  }
  return all;
}

// ---- messages --------------------------------------------------------------------------------

std::vector<CheckedTime> check_messages(const Samples& samples, const Messaging& messaging) {
  std::vector<CheckedTime> checked;
  for (const MessageSample& sample : samples.messages) {
    if (sample.pairs != 1) continue;
    checked.push_back({fmt::format("message of {} B", sample.bytes.bytes()),
                       0.5 * sample.round_trip, priced_message(messaging, sample.bytes)});
  }
  return checked;
}

// On one host, where only threads move bytes.
std::vector<CheckedTime> check_collectives(const Samples& samples, const Device& device) {
  std::vector<CheckedTime> checked;
  for (const CollectiveSample& sample : samples.collectives) {
    const MessageCost cost = exchange_cost(device, {}, sample.ranks);
    CollectiveShape shape;
    shape.members = static_cast<std::size_t>(sample.ranks);
    checked.push_back(
        {fmt::format("ring all-reduce of {} B over {} ranks", sample.bytes.bytes(), sample.ranks),
         sample.seconds,
         collective_seconds(shape, cost, sample.bytes.bytes() / sample.element_bytes,
                            sample.element_bytes)});
  }
  return checked;
}

}  // namespace

double CheckedTime::log_error() const {
  return std::log(measured / priced);
}

std::optional<ProfileErrors> profile_errors(const Samples& samples, const Device& device) {
  if (samples.steps.empty()) return std::nullopt;
  ProfileErrors result;
  result.networks = check_networks(samples, device);
  result.step_spread = step_spread(samples);
  result.network_deviation = samples.steps.size() == 1
                                 ? deviation_of_sum(samples, device)
                                 : root_mean_square(log_errors(result.networks));
  result.contention_deviation = contention_deviation(samples, device);
  result.errors.computing =
      std::hypot(result.network_deviation, result.contention_deviation, result.step_spread);
  const std::vector<double> sizes = differences(samples, result.networks);
  result.errors.strategy =
      sizes.empty() ? result.step_spread : root_mean_square(sizes) / std::sqrt(2);

  result.messages = check_messages(samples, device.messaging);
  result.collectives = check_collectives(samples, device);
  std::vector<double> all = log_errors(result.messages);
  const std::vector<double> of_collectives = log_errors(result.collectives);
  all.insert(all.end(), of_collectives.begin(), of_collectives.end());
  result.message_deviation = root_mean_square(all);
  result.message_spread = message_spread(samples);
  result.errors.messages =
      all.empty() ? kMostError : std::hypot(result.message_deviation, result.message_spread);
  for (double* error : {&result.errors.computing, &result.errors.messages, &result.errors.strategy})
    *error = std::min(*error, kMostError);
  return result;
}

}  // namespace rehearse
