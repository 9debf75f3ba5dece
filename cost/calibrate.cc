#include "cost/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

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

double intensity(const KernelSample& sample) {
  const auto bytes = static_cast<double>(sample.traffic.bytes());
  return bytes > 0 ? sample.flops.flops() / bytes : std::numeric_limits<double>::infinity();
}

// Seconds per FLOP, per byte and per call below which no class goes.
using Floor = std::array<double, 3>;

// call: a kernel's that does next to nothing.
Floor floor_of(const std::vector<KernelSample>& samples, Seconds call) {
  double flops = 0, bytes = 0;  // per second, of the fastest kernels
  for (const KernelSample& sample : samples) {
    flops = std::max(flops, (sample.flops / sample.best).flops_per_second());
    bytes = std::max(bytes, (sample.traffic / sample.best).bytes_per_second());
  }
  const auto least_seconds = [](double fastest) {
    return 1 / (fastest > 0 ? kHeadroom * fastest : kFastest);
  };
  return {least_seconds(flops), least_seconds(bytes), call.seconds()};
}

// Least squares with coefficients for the terms that each sample has.
class RateFit {
 public:
  RateFit(const std::vector<KernelSample>& samples, const Floor& floor) : floor_(floor) {
    for (const KernelSample& sample : samples)
      add(sample, sample.flops.flops(), static_cast<double>(sample.traffic.bytes()));
  }
  // Kernels above the ridge, in FLOPs per byte, have no bytes, and the others no FLOPs.
  RateFit(const std::vector<KernelSample>& samples, const Floor& floor, double ridge)
      : floor_(floor) {
    for (const KernelSample& sample : samples) {
      const bool computes = intensity(sample) > ridge;
      add(sample, computes ? sample.flops.flops() : 0,
          computes ? 0 : static_cast<double>(sample.traffic.bytes()));
    }
  }

  // The weights are those of the prices themselves, so they are improved in turn. With prices p0 of
  // the last round, this round's normal equations, multiplied by last round's coefficients, read
  // sum calls p0 (measured - priced) / p0 = 0: the total is right as soon as the support has
  // settled, and where no coefficient is at its floor.
  KernelRate run() {
    constexpr int kRounds = 5;
    priced_ = measured_;
    for (int round = 0; round <= kRounds; ++round)
      improve();
    keep_total();
    return {FlopsPerSecond::flops_per_second(1 / (floor_[0] + above_(0))),
            BytesPerSecond::bytes_per_second(1 / (floor_[1] + above_(1))),
            Seconds::seconds(floor_[2] + above_(2))};
  }

 private:
  void add(const KernelSample& sample, double flops, double bytes) {
    terms_.push_back({flops, bytes, 1});
    measured_.push_back(sample.seconds.seconds());
    calls_.push_back(static_cast<double>(sample.calls));
  }

  void improve() {
    // A kernel priced at next to nothing would weigh without bound.
    constexpr double kLeastPrice = 0.01;
    std::vector<Equation> equations;
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      const double weight = calls_[i] / std::max(priced_[i], kLeastPrice * measured_[i]);
      equations.push_back(
          {{terms_[i].begin(), terms_[i].end()}, measured_[i] - at_floor(i), weight});
    }
    above_ = solve(equations);
    for (std::size_t i = 0; i < terms_.size(); ++i)
      priced_[i] = at_floor(i) + above_floor(i);
  }

  // What the floor takes is not the fit's to change; the rest is scaled.
  void keep_total() {
    double measured = 0, below = 0, above = 0;
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      measured += calls_[i] * measured_[i];
      below += calls_[i] * at_floor(i);
      above += calls_[i] * above_floor(i);
    }
    if (above > 0 && measured > below) above_ *= (measured - below) / above;
  }

  double at_floor(std::size_t i) const {
    return terms_[i][0] * floor_[0] + terms_[i][1] * floor_[1] + terms_[i][2] * floor_[2];
  }
  double above_floor(std::size_t i) const {
    return terms_[i][0] * above_(0) + terms_[i][1] * above_(1) + terms_[i][2] * above_(2);
  }

  const Floor floor_;
  std::vector<std::array<double, 3>> terms_;
  std::vector<double> measured_, calls_, priced_;
  Eigen::VectorXd above_;  // coefficients less their floors
};

// The sum of calls (measured - priced)^2 / measured.
double distance(const Device& device, const std::vector<KernelSample>& samples) {
  double sum = 0;
  for (const KernelSample& s : samples) {
    const double missing =
        s.seconds.seconds() - price(device, s.kernel, s.flops, s.traffic).seconds();
    sum += static_cast<double>(s.calls) * missing * missing / s.seconds.seconds();
  }
  return sum;
}

// Below the least intensity, between any two, and above the largest.
std::vector<double> ridges(const std::vector<KernelSample>& samples) {
  std::vector<double> all = {-1};
  for (const KernelSample& sample : samples)
    all.push_back(intensity(sample));
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

KernelRate fit_roofline(const std::vector<KernelSample>& samples, const Floor& floor) {
  Device device;
  device.combine = Combine::roofline;
  KernelRate& rate = device.kernels[static_cast<std::size_t>(samples.front().kernel)];
  std::optional<KernelRate> best;
  double least = 0;
  for (const double ridge : ridges(samples)) {
    rate = RateFit(samples, floor, ridge).run();
    const double found = distance(device, samples);
    if (best && found >= least) continue;
    best = rate;
    least = found;
  }
  return *best;
}

KernelRate fit_rate(const std::vector<KernelSample>& samples, const Floor& floor, Combine combine) {
  switch (combine) {
    case Combine::roofline:
      return fit_roofline(samples, floor);
    case Combine::additive:
      return RateFit(samples, floor).run();
  }
  REHEARSE_UNREACHABLE("combine");
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
  const Seconds call = samples.launch ? samples.launch->device : Seconds{};
  const Floor floor = floor_of(samples.kernels, call);
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    const auto own = samples_of(samples, kernel);
    std::optional<KernelClass> borrowed;
    if (own.size() < kFewestSamples) {
      borrowed = lender(samples, kernel);
      if (!borrowed) return error(fmt::format("no kernel class has {} samples", kFewestSamples));
    }
    Device& device = calibration.device;
    device.kernels[static_cast<std::size_t>(k)] =
        fit_rate(borrowed ? samples_of(samples, *borrowed) : own, floor, device.combine);
    calibration.classes.push_back(judge(device, kernel, own));
    calibration.classes.back().borrowed_from = borrowed;
  }
  return success();
}

// Of the ways of a GPU the one that is nearer; of equals the first.
Result<Calibration> fit_nearest(const Samples& samples, const Calibration& base) {
  std::optional<Calibration> best;
  for (const Combine combine : {Combine::roofline, Combine::additive}) {
    Calibration fitted = base;
    fitted.device.combine = combine;
    const Status status = fit_kernels(samples, fitted);
    if (!status) return status.errors();
    if (!best || distance(fitted.device, samples.kernels) < distance(best->device, samples.kernels))
      best = std::move(fitted);
  }
  return std::move(*best);
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

BytesPerSecond memory_bandwidth(const std::vector<CopySample>& copies) {
  BytesPerSecond most;
  for (const CopySample& copy : copies) {
    if (copy.way == CopyWay::within)
      most = std::max(most, 2 * copy.ranks * copy.bytes / copy.seconds);
  }
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

std::string source_of(const Samples& samples) {
  const Host& host = samples.host;
  const std::string when = samples.date.empty() ? "" : fmt::format(", {}", samples.date);
  if (samples.gpu) {
    return fmt::format("rehearse-exec measure on {}, driver {}{}", samples.gpu->name,
                       samples.gpu->driver, when);
  }
  return fmt::format("rehearse-exec measure on {} ({} cores), {} ranks, {}{}", host.processor,
                     host.cores, host.ranks, host.backend, when);
}

// The host's ranks share its memory and cores, and their threads move messages.
Result<Calibration> calibrate_host(const Samples& samples, Calibration calibration) {
  Device& device = calibration.device;
  device.kind = DeviceKind::cpu;
  device.launch = {};
  device.combine = Combine::additive;
  device.memory = samples.host.memory;
  device.capacity = capacity_of(samples.capacity);
  const Status fitted = fit_kernels(samples, calibration);
  if (!fitted) return fitted.errors();
  fit_messages(samples, calibration);
  device.messaging.reduce_per_byte = fit_reduction(samples.reductions);
  return calibration;
}

Result<Calibration> calibrate_gpu(const Samples& samples, Calibration calibration) {
  Device& device = calibration.device;
  device.kind = DeviceKind::gpu;
  device.memory = samples.gpu->memory;
  device.capacity = {};
  device.messaging = {};
  device.launch = samples.launch ? samples.launch->host : Seconds{};
  return fit_nearest(samples, calibration);
}

}  // namespace

Result<Calibration> calibrate(const Samples& samples, Device base) {
  Calibration calibration;
  calibration.device = std::move(base);
  Device& device = calibration.device;
  device.source = source_of(samples);
  device.provenance = Provenance::measured;
  device.workspace = samples.workspace;
  device.memory_bandwidth = memory_bandwidth(samples.copies);
  device.rates_for = samples.dtype;
  device.peak.try_emplace(samples.dtype, fastest(samples.kernels));
  return samples.gpu ? calibrate_gpu(samples, std::move(calibration))
                     : calibrate_host(samples, std::move(calibration));
}

}  // namespace rehearse
