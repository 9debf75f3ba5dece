#include "tools/rehearse/sweep_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "model/base/human_number.h"
#include "model/base/text.h"

namespace rehearse::cli {
namespace {

constexpr std::chrono::seconds kBetweenLines{10};

std::string printed(std::uint64_t n) {
  return human_count(static_cast<std::int64_t>(n));
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string describe(const sweep::Progress& progress, double seconds) {
  std::string text = fmt::format("{} of {} rows", printed(progress.done), printed(progress.total));
  const std::uint64_t now = progress.done - progress.before;
  if (now > 0 && seconds > 0) {
    const double rate = static_cast<double>(now) / seconds;
    const double left = static_cast<double>(progress.total - progress.done) / rate;
    text += fmt::format(", {:.3g}/s, {} left", rate, duration(left));
  }
  if (!progress.best) return text;
  const auto samples = sweep::number(sweep::figure(*progress.best, "samples_per_s"));
  return text + fmt::format("; best: {}, {} samples/s", progress.best->strategy,
                            human_number(samples.value_or(0)));
}

SweepProgress::SweepProgress() : is_terminal_(isatty(STDERR_FILENO) != 0) {}

double SweepProgress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

void SweepProgress::show(const sweep::Progress& progress) {
  if (!is_terminal_ && Clock::now() - last_ < kBetweenLines) return;
  last_ = Clock::now();
  const std::string text = describe(progress, seconds());
  if (!is_terminal_) {
    std::cerr << text << std::endl;
    return;
  }
  constexpr int kWidth = 20;  // of the bar
  const auto filled =
      static_cast<std::size_t>(kWidth * static_cast<double>(progress.done) /
                               static_cast<double>(std::max<std::uint64_t>(progress.total, 1)));
  std::cerr << fmt::format("\r\x1b[K[{:<{}}] {}", std::string(filled, '#'), kWidth, text)
            << std::flush;
  has_line_ = true;
}

void SweepProgress::finish() {
  if (has_line_) std::cerr << "\r\x1b[K" << std::flush;
  has_line_ = false;
}

}  // namespace rehearse::cli
