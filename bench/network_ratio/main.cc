// network_ratio [PART OF A NAME]: SimGrid and rehearse::sim on the same messages, one after the
// other in one process for each case; every finish time is compared, and the times they took.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "bench/network_ratio/workload.h"

namespace rehearse::bench {
namespace {

constexpr double kAgreement = 1e-6;  // relative

struct Timed {
  Finishes finishes;
  double seconds = 0;
};

// Of the processor: both run in one thread, and other programs do not count.
double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

Timed timed(Finishes (*run)(const Case&), const Case& of) {
  const double begin = processor_seconds();
  Finishes finishes = run(of);
  return {std::move(finishes), processor_seconds() - begin};
}

// The largest relative difference.
double difference(const Finishes& a, const Finishes& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(a[i] - b[i]) / std::max(a[i], b[i]));
  return largest;
}

bool compare(const Case& of) {
  const Timed theirs = timed(simgrid_finishes, of);
  // What takes little time is run several times: the median.
  std::vector<Timed> ours;
  double spent = 0;
  while (ours.size() < 5 && (ours.empty() || spent < 2)) {
    ours.push_back(timed(rehearse_finishes, of));
    spent += ours.back().seconds;
  }
  std::sort(ours.begin(), ours.end(),
            [](const Timed& a, const Timed& b) { return a.seconds < b.seconds; });
  const double seconds = ours[ours.size() / 2].seconds;
  const Finishes &expected = theirs.finishes, &found = ours.front().finishes;
  const double all = difference(expected, found);
  const double last = difference({*std::max_element(expected.begin(), expected.end())},
                                 {*std::max_element(found.begin(), found.end())});
  const bool agree = (of.is_chaotic ? last : all) <= kAgreement;
  fmt::print("{:40} {:10.4f} {:11.4f} {:7.1f} {:13.1e} {:9.1e}{}\n", of.name, theirs.seconds,
             seconds, theirs.seconds / seconds, all, last, agree ? "" : "  DIFFERS");
  std::fflush(stdout);
  return agree;
}

// SimGrid has one engine in the life of a process.
bool compare_in_a_process(const Case& of) {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) std::_Exit(compare(of) ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main_of(const std::string& part) {
  fmt::print("{:40} {:>10} {:>11} {:>7} {:>13} {:>9}\n", "", "SimGrid s", "rehearse s", "ratio",
             "ends differ", "the last");
  std::fflush(stdout);
  bool agree = true;
  for (const Case& of : cases()) {
    if (of.name.find(part) != std::string::npos) agree = compare_in_a_process(of) && agree;
  }
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace rehearse::bench

int main(int count, char** arguments) {
  return rehearse::bench::main_of(count > 1 ? arguments[1] : "");
}
