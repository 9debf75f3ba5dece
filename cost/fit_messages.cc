#include "cost/fit_messages.h"

#include <algorithm>
#include <cmath>

#include "cost/least_squares.h"
#include "cost/robust.h"

namespace rehearse {
namespace {

using Eigen::Index;

// The sum of the terms is to be what was measured.
struct Equation {
  std::vector<double> terms;
  double measured = 1;
};

struct Fitted {
  std::vector<double> values;
  std::vector<std::optional<Interval>> intervals;
};

// Of least relative error, robustly.
Fitted fit(const std::vector<Equation>& equations) {
  constexpr int kRounds = 10;
  const auto rows = std::ssize(equations), columns = std::ssize(equations.front().terms);
  Eigen::MatrixXd terms(rows, columns);
  for (Index r = 0; r < rows; ++r) {
    const Equation& equation = equations[static_cast<std::size_t>(r)];
    for (Index c = 0; c < columns; ++c)
      terms(r, c) = equation.terms[static_cast<std::size_t>(c)] / equation.measured;
  }
  const std::vector<double> alike(equations.size(), 1.0);
  std::vector<double> counts = alike;
  Eigen::VectorXd x, roots(rows);
  for (int round = 0; round < kRounds; ++round) {
    for (Index r = 0; r < rows; ++r)
      roots(r) = std::sqrt(counts[static_cast<std::size_t>(r)]);
    x = nonnegative_least_squares(roots.asDiagonal() * terms, roots);
    const Eigen::VectorXd priced = terms * x;  // for measured
    constexpr double kLeastPrice = 1e-6;
    std::vector<double> residuals;
    for (const double ratio : priced)
      residuals.push_back(-std::log(std::max(ratio, kLeastPrice)));
    counts = outlier_weights(residuals, alike);
  }
  Fitted fitted{{x.begin(), x.end()}, {}};
  const auto widths = confidence(roots.asDiagonal() * terms, roots, x);
  for (std::size_t c = 0; c < widths.size(); ++c) {
    fitted.intervals.push_back(
        widths[c] ? std::optional(Interval{std::max(fitted.values[c] - *widths[c], 0.0),
                                           fitted.values[c] + *widths[c]})
                  : std::nullopt);
  }
  return fitted;
}

double in_bytes(Bytes bytes) {
  return static_cast<double>(bytes.bytes());
}

struct Line {
  double fixed = 0, per_byte = 0;
  std::optional<Interval> fixed_interval, per_byte_interval;
};

template <class Measured>
Line fit_line(const std::vector<MessageSample>& samples, Measured measured) {
  std::vector<Equation> equations;
  for (const MessageSample& sample : samples) {
    const double seconds = measured(sample).seconds();
    if (seconds > 0) equations.push_back({{1, in_bytes(sample.bytes)}, seconds});
  }
  if (equations.empty()) return {};
  const Fitted fitted = fit(equations);
  return {fitted.values[0], fitted.values[1], fitted.intervals[0], fitted.intervals[1]};
}

void divide(const Line& one_way, const Line& send, const Line& receive, Messaging& messaging) {
  // Both threads prepare a message at the same time, and no longer than it takes.
  const double each = std::min(one_way.fixed, (send.fixed + receive.fixed) / 2);
  messaging.per_message = Seconds::seconds(each);
  messaging.latency = Seconds::seconds(one_way.fixed - each);
  const double threads = send.per_byte + receive.per_byte;
  const double share = threads > 0 ? send.per_byte / threads : 0.5;
  const double per_byte = std::max(one_way.per_byte, threads);
  messaging.send_per_byte = Seconds::seconds(per_byte * share);
  messaging.receive_per_byte = Seconds::seconds(per_byte * (1 - share));
}

// A line through the origin: what a chunk costs whatever its size is part of its message's cost.
void fit_reduction(const std::vector<ReduceSample>& samples, MessageFit& result) {
  std::vector<Equation> equations;
  for (const ReduceSample& sample : samples)
    equations.push_back({{in_bytes(sample.bytes)}, sample.seconds.seconds()});
  if (equations.empty()) return;
  const Fitted fitted = fit(equations);
  result.messaging.reduce_per_byte = Seconds::seconds(fitted.values[0]);
  result.reduce_per_byte = fitted.intervals[0];
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::vector<double> alike(values.size(), 1.0);
  return weighted_median(values, alike);
}

}  // namespace

MessageFit fit_messages(const Samples& samples) {
  std::vector<MessageSample> alone;
  for (const MessageSample& sample : samples.messages) {
    if (sample.pairs == 1) alone.push_back(sample);
  }
  const Line one_way = fit_line(alone, [](const MessageSample& s) { return 0.5 * s.round_trip; });
  const Line send = fit_line(alone, [](const MessageSample& s) { return s.send; });
  const Line receive = fit_line(alone, [](const MessageSample& s) { return s.receive; });
  MessageFit result;
  divide(one_way, send, receive, result.messaging);
  result.fixed = one_way.fixed_interval;
  result.per_byte = one_way.per_byte_interval;
  fit_reduction(samples.reductions, result);
  std::vector<double> errors;
  for (const MessageSample& sample : alone) {
    const double priced = 2 * (one_way.fixed + one_way.per_byte * in_bytes(sample.bytes));
    errors.push_back(std::abs(priced / sample.round_trip.seconds() - 1));
  }
  result.median_error = median(std::move(errors));
  return result;
}

Seconds priced_message(const Messaging& messaging, Bytes bytes) {
  return messaging.latency + messaging.per_message +
         (messaging.send_per_byte + messaging.receive_per_byte) * in_bytes(bytes);
}

}  // namespace rehearse
