#include "cost/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "cost/least_squares.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse {
namespace {

using Eigen::Index;

// Whose rates are the most like this class's, nearest first.
std::vector<KernelClass> neighbours(KernelClass kernel) {
  using enum KernelClass;
  switch (kernel) {
    case convolution:
      return {matrix_product, attention};
    case matrix_product:
      return {convolution, attention};
    case attention:
      return {matrix_product, convolution};
    case normalization:
      return {elementwise, reduction, copy};
    case elementwise:
      return {optimizer, copy, normalization};
    case reduction:
      return {elementwise, normalization, copy};
    case embedding:
      return {copy, elementwise};
    case optimizer:
      return {elementwise, copy, normalization};
    case copy:
      return {elementwise, optimizer, normalization};
  }
  REHEARSE_UNREACHABLE("kernel class");
}

// A line of the least-squares problem: the sum of the terms is to be what was measured.
struct Equation {
  std::vector<double> terms;
  double measured = 1;
  double weight = 1;  // of the square of what is missing
};

Eigen::VectorXd solve(const std::vector<Equation>& equations) {
  const auto rows = static_cast<Index>(equations.size());
  const auto columns = static_cast<Index>(equations.front().terms.size());
  Eigen::MatrixXd a(rows, columns);
  Eigen::VectorXd b(rows);
  for (Index r = 0; r < rows; ++r) {
    const Equation& equation = equations[static_cast<std::size_t>(r)];
    const double scale = std::sqrt(equation.weight);
    for (Index c = 0; c < columns; ++c)
      a(r, c) = scale * equation.terms[static_cast<std::size_t>(c)];
    b(r) = scale * equation.measured;
  }
  return nonnegative_least_squares(a, b);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double relative_error(double priced, double measured) {
  return std::abs(priced / measured - 1);
}

// ---- kernels ---------------------------------------------------------------------------------

std::vector<KernelSample> samples_of(const Samples& samples, KernelClass kernel) {
  std::vector<KernelSample> own;
  for (const KernelSample& sample : samples.kernels) {
    if (sample.kernel == kernel) own.push_back(sample);
  }
  return own;
}

double rate(double seconds_per_unit) {
  return 1 / std::max(seconds_per_unit, 1 / kFastest);
}

// The weights are those of the prices themselves, so they are improved in turn. With prices p0 of
// the last round, this round's normal equations, multiplied by last round's coefficients, read sum
// calls p0 (measured - priced) / p0 = 0: the total is right as soon as the support has settled.
KernelRate fit_rate(const std::vector<KernelSample>& samples) {
  constexpr int kRounds = 5;
  // A kernel priced at next to nothing would weigh without bound.
  constexpr double kLeastPrice = 0.01;
  std::vector<Equation> equations;
  for (const KernelSample& sample : samples) {
    const auto bytes = static_cast<double>(sample.traffic.bytes());
    const double seconds = sample.seconds.seconds();
    equations.push_back(
        {{sample.flops.flops(), bytes, 1}, seconds, static_cast<double>(sample.calls) / seconds});
  }
  Eigen::VectorXd x = solve(equations);
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      Equation& equation = equations[i];
      const double priced = equation.terms[0] * x(0) + equation.terms[1] * x(1) + x(2);
      equation.weight =
          static_cast<double>(samples[i].calls) / std::max(priced, kLeastPrice * equation.measured);
    }
    x = solve(equations);
  }
  return {FlopsPerSecond::flops_per_second(rate(x(0))),
          BytesPerSecond::bytes_per_second(rate(x(1))), Seconds::seconds(x(2))};
}

ClassFit judge(const Device& device, KernelClass kernel, const std::vector<KernelSample>& samples) {
  std::vector<double> errors;
  for (const KernelSample& sample : samples) {
    const Seconds priced = price(device, kernel, sample.flops, sample.traffic);
    errors.push_back(relative_error(priced.seconds(), sample.seconds.seconds()));
  }
  ClassFit fit{kernel, samples.size(), std::nullopt, median(errors), 0};
  for (const double error : errors)
    fit.worst_error = std::max(fit.worst_error, error);
  return fit;
}

// The nearest class with enough samples; any of them if none is near.
std::optional<KernelClass> lender(const Samples& samples, KernelClass kernel) {
  const auto has_enough = [&](KernelClass k) {
    return samples_of(samples, k).size() >= kFewestSamples;
  };
  for (const KernelClass neighbour : neighbours(kernel)) {
    if (has_enough(neighbour)) return neighbour;
  }
  for (int k = 0; k < kKernelClassCount; ++k) {
    if (has_enough(static_cast<KernelClass>(k))) return static_cast<KernelClass>(k);
  }
  return std::nullopt;
}

Status fit_kernels(const Samples& samples, Calibration& calibration) {
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    const auto own = samples_of(samples, kernel);
    std::optional<KernelClass> borrowed;
    if (own.size() < kFewestSamples) {
      borrowed = lender(samples, kernel);
      if (!borrowed) return error(fmt::format("no kernel class has {} samples", kFewestSamples));
    }
    calibration.device.kernels[static_cast<std::size_t>(k)] =
        fit_rate(borrowed ? samples_of(samples, *borrowed) : own);
    calibration.classes.push_back(judge(calibration.device, kernel, own));
    calibration.classes.back().borrowed_from = borrowed;
  }
  return success();
}

// ---- messages --------------------------------------------------------------------------------

struct Line {
  double fixed = 0, per_byte = 0;
  double at(Bytes bytes) const { return fixed + per_byte * static_cast<double>(bytes.bytes()); }
};

template <class Measured>
Line fit_line(const std::vector<MessageSample>& samples, Measured measured) {
  std::vector<Equation> equations;
  for (const MessageSample& sample : samples) {
    const double seconds = measured(sample).seconds();
    if (seconds <= 0) continue;
    equations.push_back(
        {{1, static_cast<double>(sample.bytes.bytes())}, seconds, 1 / (seconds * seconds)});
  }
  if (equations.empty()) return {};
  const Eigen::VectorXd x = solve(equations);
  return {x(0), x(1)};
}

void fit_messages(const Samples& samples, Calibration& calibration) {
  std::vector<MessageSample> alone;
  for (const MessageSample& sample : samples.messages) {
    if (sample.pairs == 1) alone.push_back(sample);
  }
  const Line one_way = fit_line(alone, [](const MessageSample& s) { return 0.5 * s.round_trip; });
  const Line send = fit_line(alone, [](const MessageSample& s) { return s.send; });
  const Line receive = fit_line(alone, [](const MessageSample& s) { return s.receive; });
  Messaging& messaging = calibration.device.messaging;
  // Both threads prepare a message at the same time, and no longer than it takes.
  const double each = std::min(one_way.fixed, (send.fixed + receive.fixed) / 2);
  messaging.per_message = Seconds::seconds(each);
  messaging.latency = Seconds::seconds(one_way.fixed - each);
  const double threads = send.per_byte + receive.per_byte;
  const double share = threads > 0 ? send.per_byte / threads : 0.5;
  const double per_byte = std::max(one_way.per_byte, threads);
  messaging.send_per_byte = Seconds::seconds(per_byte * share);
  messaging.receive_per_byte = Seconds::seconds(per_byte * (1 - share));
  std::vector<double> errors;
  for (const MessageSample& sample : alone) {
    errors.push_back(relative_error(2 * one_way.at(sample.bytes), sample.round_trip.seconds()));
  }
  calibration.message_error = median(errors);
}

// A line through the origin: what a chunk costs whatever its size is part of its message's cost.
Seconds fit_reduction(const std::vector<ReduceSample>& samples) {
  std::vector<Equation> equations;
  for (const ReduceSample& sample : samples) {
    const double seconds = sample.seconds.seconds();
    equations.push_back(
        {{static_cast<double>(sample.bytes.bytes())}, seconds, 1 / (seconds * seconds)});
  }
  return equations.empty() ? Seconds{} : Seconds::seconds(solve(equations)(0));
}

// ---- the node --------------------------------------------------------------------------------

BytesPerSecond node_bandwidth(const std::vector<CopySample>& copies) {
  BytesPerSecond most;
  for (const CopySample& copy : copies)
    most = std::max(most, 2 * copy.ranks * copy.bytes / copy.seconds);
  return most;
}

// Of the most compute-bound class there is: how memory-bound ones scale is the memory's doing.
std::vector<double> capacity_of(const std::vector<CapacitySample>& samples) {
  if (samples.empty()) return {};
  const auto by_class = [](const CapacitySample& a, const CapacitySample& b) {
    return a.kernel < b.kernel;
  };
  const KernelClass kernel = std::min_element(samples.begin(), samples.end(), by_class)->kernel;
  std::vector<double> capacity;
  for (const CapacitySample& sample : samples) {
    if (sample.kernel != kernel) continue;
    const auto busy = static_cast<std::size_t>(sample.busy);
    if (capacity.size() < busy) capacity.resize(busy, sample.work);
    capacity[busy - 1] = sample.work;
  }
  return capacity;
}

FlopsPerSecond fastest(const std::vector<KernelSample>& kernels) {
  FlopsPerSecond most;
  for (const KernelSample& sample : kernels)
    most = std::max(most, sample.flops / sample.best);
  return most;
}

}  // namespace

Result<Calibration> calibrate(const Samples& samples, Device base) {
  Calibration calibration;
  calibration.device = std::move(base);
  Device& device = calibration.device;
  device.source =
      fmt::format("rehearse-exec measure on {} ({} cores), {} ranks, {}", samples.host.processor,
                  samples.host.cores, samples.host.ranks, samples.host.backend);
  device.provenance = Provenance::measured;
  device.combine = Combine::additive;
  device.memory = samples.host.memory;
  device.workspace = samples.workspace;
  device.memory_bandwidth = node_bandwidth(samples.copies);
  device.capacity = capacity_of(samples.capacity);
  device.peak.try_emplace(samples.dtype, fastest(samples.kernels));
  const Status fitted = fit_kernels(samples, calibration);
  if (!fitted) return fitted.errors();
  fit_messages(samples, calibration);
  device.messaging.reduce_per_byte = fit_reduction(samples.reductions);
  return calibration;
}

}  // namespace rehearse
