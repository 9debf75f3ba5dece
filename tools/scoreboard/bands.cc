#include "tools/scoreboard/bands.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

namespace rehearse {
namespace {

constexpr double kFaster = 0.05;  // logarithm of a rate, for the share of computing

bool is_step(const Case& one) {
  const auto& names = one.constants;
  return std::find(names.begin(), names.end(), "memory") != names.end();
}
bool is_collective(const Case& one) {
  const auto& names = one.constants;
  return std::find(names.begin(), names.end(), "launch") != names.end();
}

Result<StepShares> shares_of(const Predicted& row) {
  if (is_collective(*row.of)) return StepShares{0, 1};
  const double rate = std::exp(kFaster);
  const Result<double> faster = row.of->predict({{"memory", rate}, {"products", rate}});
  if (!faster) return faster.errors();
  const double computing = std::clamp(std::log(row.committed / *faster) / kFaster, 0.0, 1.0);
  return StepShares{computing, 1 - computing};
}

// By source: residuals, and shares of computing and of messages.
struct Block {
  Eigen::VectorXd residuals, computing, messages;
};

std::vector<Block> blocks_of(const std::vector<const Residual*>& residuals) {
  std::map<std::string, std::vector<const Residual*>> by_source;
  for (const Residual* one : residuals)
    by_source[one->of->hold_out].push_back(one);
  std::vector<Block> blocks;
  for (const auto& [source, rows] : by_source) {
    const auto n = static_cast<Eigen::Index>(rows.size());
    Block block{Eigen::VectorXd(n), Eigen::VectorXd(n), Eigen::VectorXd(n)};
    for (Eigen::Index r = 0; r < n; ++r) {
      const Residual& one = *rows[static_cast<std::size_t>(r)];
      block.residuals(r) = one.held_out;
      block.computing(r) = one.shares.computing;
      block.messages(r) = one.shares.messages;
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

using Deviations = std::array<double, 3>;  // computing, messages, strategy

// -2 log of the likelihood, but for a constant: normal, of covariance
// s_c^2 c c' + s_m^2 m m' + s_s^2 I for each block.
double unlikelihood(const std::vector<Block>& blocks, const Deviations& of) {
  const auto& [computing, messages, strategy] = of;
  double sum = 0;
  for (const Block& block : blocks) {
    const auto n = block.residuals.size();
    const Eigen::MatrixXd covariance =
        computing * computing * block.computing * block.computing.transpose() +
        messages * messages * block.messages * block.messages.transpose() +
        strategy * strategy * Eigen::MatrixXd::Identity(n, n);
    const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
    sum += block.residuals.dot(factor.solve(block.residuals));
    sum += 2 * factor.matrixLLT().diagonal().array().log().sum();
  }
  return sum;
}

// Coordinate by coordinate over ever finer factors. None is below a thousandth.
Deviations likeliest(const std::vector<Block>& blocks) {
  constexpr double kLeast = 1e-3;
  Deviations best = {0.1, 0.1, 0.1};
  double least = unlikelihood(blocks, best);
  for (double factor = 2; factor > 1.01;) {
    bool improved = false;
    for (double& one : best) {
      for (const double changed : {one * factor, std::max(kLeast, one / factor)}) {
        if (changed > kMostError) continue;
        const double before = std::exchange(one, changed), now = unlikelihood(blocks, best);
        if (now < least) {
          least = now;
          improved = true;
        } else {
          one = before;
        }
      }
    }
    if (!improved) factor = std::sqrt(factor);
  }
  return best;
}

std::vector<const Residual*> on_device(const std::vector<Residual>& residuals,
                                       const std::string& device, const std::string& without) {
  std::vector<const Residual*> found;
  for (const Residual& one : residuals) {
    if (one.of->is_apart) continue;
    if (one.of->device == device && (without.empty() || one.of->hold_out != without))
      found.push_back(&one);
  }
  return found;
}

bool is_inside(double residual, const StepShares& shares, const PredictionErrors& errors) {
  return std::abs(residual) <= kBandDeviations * log_deviation(shares, errors);
}

}  // namespace

Result<std::vector<Residual>> residuals_of(const Scoreboard& board) {
  std::vector<Residual> residuals;
  for (const Predicted& row : board.rows) {
    if (row.of->device.empty() || !(is_step(*row.of) || is_collective(*row.of))) continue;
    const Result<StepShares> shares = shares_of(row);
    if (!shares) return shares.errors();
    residuals.push_back({row.of, *shares, std::log(row.of->measured / row.held_out),
                         std::log(row.of->measured / row.committed)});
  }
  return residuals;
}

std::optional<PredictionErrors> likeliest_errors(const std::vector<const Residual*>& residuals) {
  const std::vector<Block> blocks = blocks_of(residuals);
  if (blocks.size() < 2) return std::nullopt;
  const auto [computing, messages, strategy] = likeliest(blocks);
  return PredictionErrors{computing, messages, strategy};
}

Bands bands_of(const Scoreboard& board, const std::vector<Residual>& residuals) {
  Bands bands;
  std::map<std::pair<std::string, std::string>, std::optional<PredictionErrors>> known;
  const auto errors = [&](const std::string& device, const std::string& without) {
    const auto [entry, is_new] = known.try_emplace({device, without});
    if (is_new) entry->second = likeliest_errors(on_device(residuals, device, without));
    return entry->second;
  };
  for (const SourceScore& source : board.sources) {
    Bands::Coverage coverage{source.source};
    for (const Residual& one : residuals) {
      if (one.of->source != source.source) continue;
      const auto likeliest = errors(one.of->device, "");
      if (likeliest) bands.of_device[one.of->device] = *likeliest;
      if (const auto own = likeliest ? likeliest : one.of->errors) {
        ++coverage.rows;
        coverage.inside += is_inside(one.committed, one.shares, *own) ? 1 : 0;
      }
      if (const auto others = errors(one.of->device, one.of->hold_out)) {
        ++coverage.apart;
        coverage.inside_apart += is_inside(one.held_out, one.shares, *others) ? 1 : 0;
      }
    }
    if (coverage.rows > 0) bands.coverage.push_back(coverage);
  }
  return bands;
}

std::string print(const Bands& bands) {
  std::string text = "| device | computing | messages | strategy |\n|---|---|---|---|\n";
  for (const auto& [device, errors] : bands.of_device)
    text += fmt::format("| {} | {:.3f} | {:.3f} | {:.3f} |\n", device, errors.computing,
                        errors.messages, errors.strategy);
  text +=
      "\n| source | rows | in the 90 % band | held out: rows | in the band of the others |\n"
      "|---|---|---|---|---|\n";
  for (const Bands::Coverage& one : bands.coverage) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", one.source, one.rows, one.inside, one.apart,
                        one.inside_apart);
  }
  return text;
}

}  // namespace rehearse
