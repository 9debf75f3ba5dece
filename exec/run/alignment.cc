#include "exec/run/alignment.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <span>

#include "exec/run/global_gradient.h"
#include "exec/run/tags.h"
#include "exec/run/wait.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

// Elements whose gradients rank 0 has of everybody at a time.
constexpr std::int64_t kPiece = 1 << 16;

// By worker, who computes its gradient: the first rank of its first replica. Micro-batches are
// dealt to all workers of one replica before the next.
std::vector<RankId> first_ranks(const Plan& plan) {
  std::map<std::int64_t, RankId> by_micro_batch;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    by_micro_batch.try_emplace(plan.ranks[r].first_micro_batch, RankId(r));
  std::vector<RankId> ranks;
  for (const auto& [micro_batch, rank] : by_micro_batch) {
    if (std::ssize(ranks) < plan.mesh.workers) ranks.push_back(rank);
  }
  return ranks;
}

// A stretch of a gradient; empty: of what its worker does not hold.
struct Piece {
  std::vector<double> values;
  double square = 0;

  Piece() = default;
  explicit Piece(std::vector<double> numbers)
      : values(std::move(numbers)), square(times(values, values)) {}
  bool empty() const { return values.empty(); }

  static double times(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }
};

// Of two vectors, summed up over pieces of them.
struct Products {
  double of_both = 0, of_first = 0, of_second = 0;

  void add(const Piece& first, const Piece& second) {
    of_both += Piece::times(first.values, second.values);
    of_first += first.square;
    of_second += second.square;
  }
  void add(const Products& other) {
    of_both += other.of_both;
    of_first += other.of_first;
    of_second += other.of_second;
  }
  std::optional<double> cosine() const {
    if (of_first == 0 || of_second == 0) return std::nullopt;
    return of_both / (std::sqrt(of_first) * std::sqrt(of_second));
  }
};

// Of all vectors that are compared.
struct Comparison {
  std::vector<Products> workers, pairs;
  Products aggregate;

  explicit Comparison(std::size_t n) : workers(n), pairs(n * (n - 1) / 2) {}

  // One piece of the whole network's gradient, of every worker's and of their aggregate.
  void add(const Piece& whole, const std::vector<Piece>& own, const Piece& mean) {
    std::size_t pair = 0;
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (!own[i].empty()) workers[i].add(own[i], whole);
      for (std::size_t k = i + 1; k < own.size(); ++k, ++pair) {
        if (!own[i].empty() && !own[k].empty()) pairs[pair].add(own[i], own[k]);
      }
    }
    aggregate.add(mean, whole);
  }
  void add(const Comparison& other) {
    for (std::size_t i = 0; i < workers.size(); ++i)
      workers[i].add(other.workers[i]);
    for (std::size_t p = 0; p < pairs.size(); ++p)
      pairs[p].add(other.pairs[p]);
    aggregate.add(other.aggregate);
  }

  Alignment cosines() const {
    Alignment alignment;
    std::size_t pair = 0;
    for (std::size_t i = 0; i < workers.size(); ++i) {
      alignment.workers.push_back(workers[i].cosine());
      for (std::size_t k = i + 1; k < workers.size(); ++k, ++pair)
        alignment.pairs.push_back({i, k, pairs[pair].cosine()});
    }
    alignment.aggregate = aggregate.cosine();
    return alignment;
  }
};

// Brings the workers' gradients together on rank 0.
class Aligner {
 public:
  Aligner(const Plan& plan, const Net& net, const std::vector<RankId>& ranks, Backend& backend,
          Transport& transport)
      : plan_(plan),
        net_(net),
        ranks_(ranks),
        backend_(backend),
        transport_(transport),
        element_bytes_(backend.sizes().activation_bytes) {}

  // This rank's worker's, to rank 0.
  void send(const Weights& own) {
    each_piece([&](ParameterId id, std::int64_t begin, std::int64_t end) {
      if (!holds(transport_.rank(), id)) return;
      wait_for(transport_, transport_.send(RankId(0), kParameterTag, bytes(own, id, begin, end)));
    });
  }

  // On rank 0, whose worker's gradient is `own`: by block.
  std::vector<Comparison> compare(const Weights& whole, const Weights& own) {
    std::vector<Comparison> blocks(net_.blocks.size(), Comparison(ranks_.size()));
    each_piece([&](ParameterId id, std::int64_t begin, std::int64_t end) {
      std::vector<Piece> by_worker;
      for (const RankId rank : ranks_)
        by_worker.push_back(holds(rank, id) ? piece_of(rank, own, id, begin, end) : Piece());
      const SegmentId segment = net_.parameters[id.index()].segment;
      blocks[net_.segments[segment.index()].block.index()].add(
          load(bytes(whole, id, begin, end)), by_worker, aggregate(by_worker, end - begin));
    });
    return blocks;
  }

 private:
  template <class Visit>
  void each_piece(Visit visit) const {
    for (std::size_t p = 0; p < net_.parameters.size(); ++p) {
      const std::int64_t elements = net_.parameters[p].shape.elements();
      for (std::int64_t begin = 0; begin < elements; begin += kPiece)
        visit(ParameterId(p), begin, std::min(elements, begin + kPiece));
    }
  }

  bool holds(RankId rank, ParameterId id) const {
    const auto& unit = net_.parameters[id.index()].unit;
    return !unit || program_of(plan_, rank).subnetwork.holds[unit->index()];
  }

  std::span<const std::byte> bytes(const Weights& gradient, ParameterId id, std::int64_t begin,
                                   std::int64_t end) const {
    const std::vector<std::byte>& all = gradient[id.index()];
    REHEARSE_CHECK(std::ssize(all) >= end * element_bytes_, "{} of {} bytes of the gradient of {}",
                   all.size(), end * element_bytes_, net_.parameters[id.index()].name);
    return std::span(all).subspan(static_cast<std::size_t>(begin * element_bytes_),
                                  static_cast<std::size_t>((end - begin) * element_bytes_));
  }
  Piece load(std::span<const std::byte> bytes) const {
    return Piece(backend_.load(bytes.data(), std::ssize(bytes) / element_bytes_));
  }

  Piece piece_of(RankId rank, const Weights& own, ParameterId id, std::int64_t begin,
                 std::int64_t end) const {
    if (rank == transport_.rank()) return load(bytes(own, id, begin, end));
    std::vector<std::byte> received(static_cast<std::size_t>((end - begin) * element_bytes_));
    wait_for(transport_, transport_.receive(rank, kParameterTag, received));
    return load(received);
  }

  // As the sums of training: replicas of a worker, which have the same here, count alike.
  Piece aggregate(const std::vector<Piece>& by_worker, std::int64_t elements) const {
    std::vector<double> mean(static_cast<std::size_t>(elements), 0);
    double holders = 0;
    for (const Piece& own : by_worker) {
      std::transform(own.values.begin(), own.values.end(), mean.begin(), mean.begin(),
                     std::plus<>());
      if (!own.empty()) ++holders;
    }
    const bool over_all = plan_.averaging == Averaging::all;
    // What nobody holds is not trained.
    for (double& x : mean)
      x /= over_all ? static_cast<double>(ranks_.size()) : std::max(holders, 1.0);
    return Piece(std::move(mean));
  }

  const Plan& plan_;
  const Net& net_;
  const std::vector<RankId>& ranks_;  // by worker
  Backend& backend_;
  Transport& transport_;
  const std::int64_t element_bytes_;
};

std::optional<Cosines> spread(const std::vector<double>& cosines) {
  if (cosines.empty()) return std::nullopt;
  Cosines result{cosines.front(), 0};
  for (const double cosine : cosines) {
    result.least = std::min(result.least, cosine);
    result.mean += cosine / static_cast<double>(cosines.size());
  }
  return result;
}

}  // namespace

std::optional<Cosines> over_workers(const Alignment& alignment) {
  std::vector<double> known;
  for (const auto& cosine : alignment.workers) {
    if (cosine) known.push_back(*cosine);
  }
  return spread(known);
}

std::optional<Cosines> over_pairs(const Alignment& alignment) {
  std::vector<double> known;
  for (const Alignment::Pair& pair : alignment.pairs) {
    if (pair.cosine) known.push_back(*pair.cosine);
  }
  return spread(known);
}

std::optional<AlignmentAt> align_gradients(const Plan& plan, const Net& net, const Weights& weights,
                                           std::int64_t steps, Backend& backend,
                                           Transport& transport, BatchSource& batches) {
  const std::vector<RankId> ranks = first_ranks(plan);
  const RankId rank = transport.rank();
  if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) return std::nullopt;
  const auto gradient_of = [&](const Net& network) {
    return global_gradient(plan, network, weights, steps, backend, batches);
  };
  const Weights own = gradient_of(net_of(plan, net, program_of(plan, rank)));
  Aligner aligner(plan, net, ranks, backend, transport);
  if (rank != RankId(0)) {
    aligner.send(own);
    return std::nullopt;
  }
  const Net whole = scale_branches(net, plan.branch_scale_at_test);
  AlignmentAt result{steps, {}, {}};
  Comparison all(ranks.size());
  for (const Comparison& block : aligner.compare(gradient_of(whole), own)) {
    result.blocks.push_back(block.cosines());
    all.add(block);
  }
  result.overall = all.cosines();
  return result;
}

}  // namespace rehearse::exec
