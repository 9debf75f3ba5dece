#include "model/schedule/spectral_gap.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace rehearse {

void apply(Assignment& assignment, const HolderMove& move) {
  assignment.holders[move.given][move.from] = false;
  assignment.holders[move.given][move.to] = true;
  if (!move.taken) return;
  assignment.holders[*move.taken][move.to] = false;
  assignment.holders[*move.taken][move.from] = true;
}

namespace {

// Dw^-1/2 B Du^-1 B^T Dw^-1/2, and the diagonal of Dw^-1/2.
struct Scaled {
  Eigen::MatrixXd matrix;
  Eigen::VectorXd by_worker;
  bool is_joined() const { return (by_worker.array() > 0).count() >= 2; }
};

Scaled scaled_of(const Assignment& assignment) {
  const auto workers = static_cast<Eigen::Index>(assignment.workers);
  const auto units = static_cast<Eigen::Index>(assignment.holders.size());
  Eigen::MatrixXd holds(workers, units);
  for (Eigen::Index u = 0; u < units; ++u) {
    const auto& holders = assignment.holders[static_cast<std::size_t>(u)];
    for (Eigen::Index w = 0; w < workers; ++w)
      holds(w, u) = holders[static_cast<std::size_t>(w)];
  }
  // Rows scaled by the root of the worker's units, columns by the root of the unit's holders.
  const auto inverse_root = [](double n) { return n > 0 ? 1 / std::sqrt(n) : 0; };
  Scaled made;
  made.by_worker = holds.rowwise().sum().unaryExpr(inverse_root);
  const Eigen::VectorXd by_unit = holds.colwise().sum().transpose().unaryExpr(inverse_root);
  const Eigen::MatrixXd scaled = made.by_worker.asDiagonal() * holds * by_unit.asDiagonal();
  made.matrix = scaled * scaled.transpose();
  return made;
}

}  // namespace

double spectral_gap(const Assignment& assignment) {
  const Scaled scaled = scaled_of(assignment);
  if (!scaled.is_joined()) return 1;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(scaled.matrix,
                                                              Eigen::EigenvaluesOnly);
  return 1 - solver.eigenvalues()(scaled.matrix.rows() - 2);
}

Spectrum spectrum_of(const Assignment& assignment) {
  const Scaled scaled = scaled_of(assignment);
  if (!scaled.is_joined()) return {};
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(scaled.matrix);
  const Eigen::Index second = scaled.matrix.rows() - 2;
  const Eigen::VectorXd values = scaled.by_worker.cwiseProduct(solver.eigenvectors().col(second));
  return {1 - solver.eigenvalues()(second), {values.begin(), values.end()}};
}

void GapBounds::look(const Assignment& assignment) {
  assignment_ = &assignment;
  const auto& any = assignment.holders.front();
  holders_ = static_cast<double>(std::count(any.begin(), any.end(), true));
  for (Sums& sums : known_)
    sum_up(sums);
  const std::size_t workers = any.size();
  shared_.assign(workers * workers, 0);
  for (const auto& by_worker : assignment.holders) {
    for (std::size_t a = 0; a < workers; ++a) {
      for (std::size_t b = 0; by_worker[a] && b < workers; ++b)
        shared_[a * workers + b] += by_worker[b] ? 1 : 0;
    }
  }
}

void GapBounds::note(const std::vector<double>& second) {
  if (second.empty()) return;
  known_.push_front({second, {}, 0, 0, 0});
  sum_up(known_.front());
  if (known_.size() > kMost) known_.pop_back();
}

void GapBounds::sum_up(Sums& sums) const {
  const auto& units = assignment_->holders;
  sums.of_unit.assign(units.size(), 0);
  sums.squares = sums.norm = sums.total = 0;
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    for (std::size_t worker = 0; worker < sums.values.size(); ++worker) {
      if (!units[unit][worker]) continue;
      const double value = sums.values[worker];
      sums.of_unit[unit] += value;
      sums.norm += value * value;
    }
    sums.squares += sums.of_unit[unit] * sums.of_unit[unit];
    sums.total += sums.of_unit[unit];
  }
}

// 0: it says nothing, since the function is nearly the same everywhere.
double GapBounds::quotient(const Sums& sums, const HolderMove& move) const {
  const double from = sums.values[move.from], to = sums.values[move.to], shift = to - from;
  double squares = sums.squares + shift * (2 * sums.of_unit[move.given] + shift);
  double norm = sums.norm, total = sums.total;
  if (move.taken) {
    squares -= shift * (2 * sums.of_unit[*move.taken] - shift);
  } else {
    norm += to * to - from * from;
    total += shift;
  }
  const double mean = total * total / (holders_ * static_cast<double>(sums.of_unit.size()));
  const double spread = norm - mean;
  if (spread <= 1e-3 * sums.norm) return 0;
  return (squares / holders_ - mean) / spread;
}

bool GapBounds::is_at_most(double gap, const HolderMove& move) {
  constexpr double kRounding = 1e-11;
  const double least = 1 - gap + kRounding;
  double most = 0;
  const Sums* best = nullptr;
  for (auto sums = known_.begin(); sums != known_.end(); ++sums) {
    const double reached = quotient(*sums, move);
    if (reached >= least) {
      known_.splice(known_.begin(), known_, sums);
      return true;
    }
    if (reached > most) most = reached, best = &*sums;
  }
  return best != nullptr && reaches(least, best->values, move);
}

std::vector<double> GapBounds::spread(const std::vector<double>& values,
                                      const HolderMove& move) const {
  const std::size_t workers = values.size();
  std::vector<double> made(workers, 0);
  for (std::size_t a = 0; a < workers; ++a) {
    for (std::size_t b = 0; b < workers; ++b)
      made[a] += shared_[a * workers + b] * values[b];
  }
  const auto change = [&](std::size_t unit, std::size_t from, std::size_t to) {
    const std::vector<bool>& holders = assignment_->holders[unit];
    const double shift = values[to] - values[from];
    double sum = shift;
    for (std::size_t worker = 0; worker < workers; ++worker) {
      if (!holders[worker]) continue;
      sum += values[worker];
      made[worker] += shift;
    }
    made[to] += sum, made[from] -= sum;
  };
  change(move.given, move.from, move.to);
  if (move.taken) change(*move.taken, move.to, move.from);
  return made;
}

bool GapBounds::reaches(double quotient, std::vector<double> values, const HolderMove& move) const {
  constexpr int kTimes = 24;
  const std::size_t workers = values.size();
  const auto units_of = [&](std::size_t worker) {
    double units = shared_[worker * workers + worker];
    if (!move.taken) units += worker == move.to ? 1 : worker == move.from ? -1 : 0;
    return units;
  };
  double before = 0;
  for (int times = 0; times < kTimes; ++times) {
    double total = 0, units = 0, norm = 0, squares = 0;
    for (std::size_t w = 0; w < workers; ++w)
      total += units_of(w) * values[w], units += units_of(w);
    for (std::size_t w = 0; w < workers; ++w) {
      values[w] -= total / units;
      norm += units_of(w) * values[w] * values[w];
    }
    if (norm <= 0) return false;
    const std::vector<double> next = spread(values, move);
    for (std::size_t w = 0; w < workers; ++w)
      squares += values[w] * next[w];
    const double reached = squares / holders_ / norm;
    if (reached >= quotient) return true;
    // It grows less and less.
    if (times > 1 && reached + (reached - before) * (kTimes - times) < quotient) return false;
    before = reached;
    for (std::size_t w = 0; w < workers; ++w)
      values[w] = units_of(w) > 0 ? next[w] / units_of(w) / holders_ : 0;
  }
  return false;
}

}  // namespace rehearse
