// How far off predictions with a fitted profile are (PredictionErrors, cost/error_band.h), from
// what was measured for it.
//
// computing: what a network's step is priced at with rates fitted to the other networks' kernels
//   alone, against what it took: the root of the mean square of log(measured / priced); together
//   with the run-to-run spread of steps on the machine, and with the contention of ranks of a node:
//   the root of the mean square of log(capacity / work) of kernels of other classes than the one
//   that the capacity was taken from, on several ranks at once.
//   Where one network was measured, nothing is left out, and the deviation is that of a sum of
//   independent kernels: sqrt(sum (t_i r_i)^2) / sum t_i of kernels of t_i seconds off by r_i.
// strategy: two sizes of micro-batch of one network are off by log ratios that differ only in what
//   each prediction has for itself: sqrt(mean d^2 / 2) of their differences d. Where no network was
//   measured at two sizes: the run-to-run spread.
// messages: the same of ping-pong messages and of all-reduces, against their closed forms, together
//   with the run-to-run spread of round trips. Where none were measured, the largest error there
//   is: nothing is known.
//
// The run-to-run spread is of what a step time is, a median over a while, from what rates are
// fitted to, the median of the quietest stretch: the root of the mean square of log(median of a
// stretch / least such median) of four equal stretches of the repeats. It holds for the load that
// there was.
#pragma once

#include <optional>
#include <vector>

#include "cost/fit_kernels.h"
#include "model/cluster/device.h"
#include "model/cluster/samples.h"

namespace rehearse {

// A network's step, or messages of a kind and size.
struct CheckedTime {
  std::string what;
  Seconds measured, priced;
  double log_error() const;  // log(measured / priced)
};

struct ProfileErrors {
  // Each network by rates of the others; by its own where it is the only one.
  std::vector<CheckedTime> networks;
  std::vector<CheckedTime> messages, collectives;
  double network_deviation = 0, message_deviation = 0;  // of the log errors, without the spreads
  double contention_deviation = 0;
  double step_spread = 0, message_spread = 0;  // run to run
  PredictionErrors errors;
};

// Of a device that was fitted to the samples; none if the samples have no networks' steps, as those
// of older versions.
std::optional<ProfileErrors> profile_errors(const Samples& samples, const Device& device);

}  // namespace rehearse
