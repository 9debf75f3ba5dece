// Where the time of one training step goes, kind of op by kind of op, beside what this machine can
// do: its fastest matrix product and its fastest stream through memory, measured in turn with the
// step. Prints JSON: step_kinds SCENARIO THREADS ROUNDS
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exec/measure/net_walk.h"
#include "exec/measure/timing.h"
#include "tools/predict/predict.h"

namespace rehearse::bench {
namespace {

using exec::Backend;
using exec::KernelArguments;
using exec::KernelRequest;
using exec::NetWalk;
using exec::Slab;
using exec::Stopwatch;

template <class Work>
double seconds_of(const Work& work) {
  const Stopwatch watch;
  work();
  return watch.elapsed().seconds();
}

// A product of square matrices, as a linear layer computes it forward (y = x W^T) or backward
// (dx = dy W). Its best rate is the machine's.
class SquareProduct {
 public:
  SquareProduct(Backend& backend, KernelKind kind, std::int64_t n) : n_(n) {
    const KernelRequest request{.kind = kind,
                                .layer = Linear{n, n, false},
                                .inputs = {{{n}}},
                                .output = {{n}},
                                .samples = n,
                                .elements = 0,
                                .wants_input_gradient = {true}};
    kernel_ = backend.prepare(request);
    for (int matrix = 0; matrix < 3; ++matrix)
      matrices_.emplace_back(backend.device(),
                             Bytes::bytes(n * n * backend.sizes().activation_bytes));
    arguments_.inputs = {matrices_[0].data()};
    arguments_.parameters = {matrices_[1].data()};
    arguments_.output = matrices_[2].data();
    arguments_.output_gradient = matrices_[0].data();
    arguments_.input_gradients = {matrices_[2].data()};
  }
  double flops_per_second() const {
    const auto n = static_cast<double>(n_);
    return 2 * n * n * n / seconds_of([&] { kernel_->run(arguments_); });
  }

 private:
  std::int64_t n_;
  std::unique_ptr<exec::Kernel> kernel_;
  std::vector<Slab> matrices_;
  KernelArguments arguments_;
};

// Tensors larger than caches: one is copied, and one added to another. What is faster counts.
class Streams {
 public:
  explicit Streams(Backend& backend)
      : backend_(backend),
        elements_(kSize / backend.sizes().activation_bytes),
        from_(backend.device(), Bytes::bytes(kSize)),
        to_(backend.device(), Bytes::bytes(kSize)) {
    KernelRequest request{};
    request.kind = KernelKind::copy;
    request.elements = elements_;
    copy_ = backend.prepare(request);
    arguments_.left = from_.data();
    arguments_.sum = to_.data();
  }
  double bytes_per_second() const {
    const double copying = seconds_of([&] { copy_->run(arguments_); });
    const double adding = seconds_of([&] { backend_.add(to_.data(), from_.data(), elements_); });
    const auto size = static_cast<double>(kSize);
    return std::max(2 * size / copying, 3 * size / adding);
  }

 private:
  static constexpr std::int64_t kSize = std::int64_t{256} << 20;
  Backend& backend_;
  std::int64_t elements_;
  std::unique_ptr<exec::Kernel> copy_;
  Slab from_, to_;
  KernelArguments arguments_;
};

// All launches of one kind in a step.
struct Kind {
  KernelClass kernel_class = KernelClass::elementwise;
  std::int64_t launches = 0;
  double flops = 0, bytes = 0;
  std::vector<double> seconds;  // by round
};

class Measurement {
 public:
  Measurement(const Net& net, const Training& training, Backend& backend)
      : measured_{net, training.batch}, walk_(measured_, backend, training), streams_(backend) {
    for (const KernelKind kind : {KernelKind::forward, KernelKind::backward_input}) {
      products_.emplace_back(backend, kind, 1024);
      products_.emplace_back(backend, kind, 2048);
    }
    for (const NetWalk::Step& step : walk_.steps())
      count(step.kind, step.work);
    count("optimizer_step", walk_.update_work());
  }

  void run(std::int64_t rounds) {
    round();  // warms up
    for (auto& [name, kind] : kinds_)
      kind.seconds.clear();
    for (std::int64_t r = 0; r < rounds; ++r) {
      round();
      for (const SquareProduct& product : products_)
        flops_per_second_ = std::max(flops_per_second_, product.flops_per_second());
      bytes_per_second_ = std::max(bytes_per_second_, streams_.bytes_per_second());
    }
  }

  nlohmann::json report() const {
    nlohmann::json kinds = nlohmann::json::array();
    for (const auto& [name, kind] : kinds_) {
      kinds.push_back({{"kind", name},
                       {"class", to_string(kind.kernel_class)},
                       {"launches", kind.launches},
                       {"flops", kind.flops},
                       {"bytes", kind.bytes},
                       {"seconds", kind.seconds}});
    }
    return {{"flops_per_second", flops_per_second_},
            {"bytes_per_second", bytes_per_second_},
            {"kinds", kinds}};
  }

 private:
  void count(const std::string& name, const StepWork& work) {
    Kind& kind = kinds_[name];
    kind.kernel_class = work.kernel;
    ++kind.launches;
    kind.flops += work.flops.flops();
    kind.bytes += static_cast<double>(work.traffic.bytes());
  }

  void round() {
    for (auto& [name, kind] : kinds_)
      kind.seconds.push_back(0);
    for (const NetWalk::Step& step : walk_.steps())
      kinds_[step.kind].seconds.back() += seconds_of([&] { step.run(); });
    kinds_["optimizer_step"].seconds.back() += seconds_of([&] { walk_.update(); });
  }

  exec::MeasuredNet measured_;
  NetWalk walk_;
  Streams streams_;
  std::vector<SquareProduct> products_;
  std::map<std::string, Kind> kinds_;
  double flops_per_second_ = 0, bytes_per_second_ = 0;
};

int run(const std::string& path, int threads, std::int64_t rounds) {
  const Result<Scenario> scenario = read_scenario(path, profile_path(path));
  if (!scenario) {
    std::cerr << format(scenario.errors());
    return 1;
  }
  const Training& training = scenario->training;
  const auto backend = exec::make_backend("onednn", training.dtype, {.threads = threads});
  Measurement measurement(build_net(scenario->model).value(), training, *backend);
  measurement.run(rounds);
  std::cout << measurement.report().dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace rehearse::bench

int main(int argc, char** argv) {
  const int threads = argc == 4 ? std::atoi(argv[2]) : 0,
            rounds = argc == 4 ? std::atoi(argv[3]) : 0;
  if (threads < 1 || rounds < 1) {
    std::cerr << "usage: step_kinds SCENARIO THREADS ROUNDS\n";
    return 2;
  }
  return rehearse::bench::run(argv[1], threads, rounds);
}
