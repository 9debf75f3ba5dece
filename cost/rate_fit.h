// Least squares for one kernel class (cost/fit_kernels.h says which).
#pragma once

#include <array>
#include <limits>
#include <span>
#include <vector>

#include <Eigen/Core>

#include "cost/fit_kernels.h"
#include "cost/robust.h"

namespace rehearse {

// Seconds per FLOP, per byte and per call below which no class goes.
using Floor = std::array<double, 3>;

// FLOPs per byte; endless without bytes.
double intensity(const KernelSample& sample);

struct FittedRate {
  KernelRate rate;
  RateIntervals confidence;
  std::vector<double> counts;  // by sample, from 0 to 1: how much it counted
};

// log(measured / priced)^2, where a factor beyond e counts as e.
double off_squared(double priced, double measured);

// Coefficients for the terms that each sample has.
class RateFit {
 public:
  RateFit(std::span<const KernelSample> samples, const Floor& floor);
  // Kernels above the ridge, in FLOPs per byte, have no bytes, and the others no FLOPs.
  RateFit(std::span<const KernelSample> samples, const Floor& floor, double ridge);

  FittedRate run();

 private:
  void add(const KernelSample& sample, double flops, double bytes);
  void start();
  void build();
  void improve();
  void price();
  double distance() const;
  void keep_total();
  RateIntervals confidence() const;
  double at_floor(std::size_t i) const;
  double above_floor(std::size_t i) const;

  const Floor floor_;
  std::vector<std::array<double, 3>> terms_;
  std::vector<double> measured_, calls_, priced_, counts_;
  std::vector<double> shares_;  // of a step's time, limited
  double deviation_ = 0;
  // That of the prices to begin with: what an outlier moves is not to widen what it is judged by.
  double most_deviation_ = kMostDeviation;
  Eigen::MatrixXd a_;
  Eigen::VectorXd b_;
  Eigen::VectorXd above_;  // coefficients less their floors
};

}  // namespace rehearse
