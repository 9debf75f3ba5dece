#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "model/base/check.h"
#include "model/plan/fold_exchanges.h"
#include "model/plan/timeline.h"

namespace rehearse {
namespace {

struct Interval {
  Time begin, end;
};

// Sorted and without overlaps.
std::vector<Interval> unite(std::vector<Interval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  std::vector<Interval> united;
  for (const Interval& next : intervals) {
    if (united.empty() || united.back().end < next.begin) {
      united.push_back(next);
    } else {
      united.back().end = std::max(united.back().end, next.end);
    }
  }
  return united;
}

Time length(const std::vector<Interval>& intervals) {
  Time sum;
  for (const Interval& interval : intervals)
    sum += interval.end - interval.begin;
  return sum;
}

// Of two united lists, what lies in either one.
std::vector<Interval> join_lists(std::vector<Interval> a, const std::vector<Interval>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return unite(std::move(a));
}

template <class T>
T lower_median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// When the steps after warm-up begin and end.
std::vector<StepWindow> windows_of(const Timeline& timeline, std::int64_t warm_up) {
  const std::int64_t first = std::max<std::int64_t>(warm_up, timeline.begin ? 0 : 1);
  REHEARSE_CHECK(first < timeline.steps, "{} steps of warm-up, {} in all", warm_up, timeline.steps);
  std::vector<Time> ends(static_cast<std::size_t>(timeline.steps));
  for (const Span& span : timeline.spans) {
    Time& end = ends[static_cast<std::size_t>(span.step)];
    end = std::max(end, span.end);
  }
  std::vector<StepWindow> windows;
  for (std::int64_t step = first; step < timeline.steps; ++step) {
    const auto s = static_cast<std::size_t>(step);
    windows.push_back({step, step == 0 ? *timeline.begin : ends[s - 1], ends[s]});
  }
  return windows;
}

StepWindow median_of(const std::vector<StepWindow>& windows) {
  std::vector<std::pair<Time, std::size_t>> lengths;
  for (std::size_t w = 0; w < windows.size(); ++w)
    lengths.emplace_back(windows[w].end - windows[w].begin, w);
  return windows[lower_median(lengths).second];
}

class BreakDown {
 public:
  // inner: of a folded plan; or none.
  BreakDown(const Plan& plan, const Timeline& timeline, std::int64_t warm_up,
            const InnerExchanges* inner)
      : plan_(plan),
        timeline_(timeline),
        inner_(inner),
        steps_(windows_of(timeline, warm_up)),
        window_(median_of(steps_)) {}

  Breakdown run() const {
    Breakdown result;
    result.step_time = (window_.end - window_.begin).seconds();
    for (const StepWindow& step : steps_)
      result.steps.push_back((step.end - step.begin).seconds());
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r)
      result.ranks.push_back(time_of(RankId(r)));
    result.bubble_fraction = bubble();
    result.kinds = kinds();
    return result;
  }

 private:
  const Op& op_of(const Span& span) const {
    return program_of(plan_, span.rank).ops[span.op.index()];
  }

  std::span<const Span> spans_of(RankId rank) const {
    const auto begin = std::partition_point(timeline_.spans.begin(), timeline_.spans.end(),
                                            [&](const Span& span) { return span.rank < rank; });
    const auto end = std::partition_point(begin, timeline_.spans.end(),
                                          [&](const Span& span) { return span.rank == rank; });
    return {begin, end};
  }

  // What is folded into the op.
  std::span<const InnerExchange> inside(const Span& span) const {
    if (inner_ == nullptr) return {};
    return inner_->ops[inner_->rows[span.rank.index()]][span.op.index()];
  }
  // The part of so much of the span that exchanges inside it take.
  Time exchanged(const Span& span, Time part) const {
    double share = 0;
    for (const InnerExchange& inner : inside(span))
      share += inner.share;
    return scaled(part, share);
  }
  static Time scaled(Time time, double share) {
    return Time::picoseconds(
        std::llround(static_cast<double>(time.picoseconds()) * std::min(share, 1.0)));
  }

  // The part within the window; it ends before it begins where there is none.
  Interval cut(const Span& span) const {
    return {std::max(span.start, window_.begin), std::min(span.end, window_.end)};
  }

  // Parts of a rank's compute (or communication) spans within the window.
  std::vector<Interval> within_window(RankId rank, bool communication) const {
    std::vector<Interval> parts;
    for (const Span& span : spans_of(rank)) {
      if (is_communication(op_of(span).kind) != communication) continue;
      const Interval part = cut(span);
      if (part.begin < part.end) parts.push_back(part);
    }
    return unite(std::move(parts));
  }

  RankTime time_of(RankId rank) const {
    const std::vector<Interval> compute = within_window(rank, false);
    const Time either = length(join_lists(compute, within_window(rank, true)));
    Time busy = length(compute);
    for (const Span& span : spans_of(rank)) {
      const Interval part = cut(span);
      if (part.begin < part.end) busy -= exchanged(span, part.end - part.begin);
    }
    const Time step = window_.end - window_.begin;
    return {busy.seconds(), (either - busy).seconds(), (step - either).seconds()};
  }

  double bubble() const {
    Time longest, busy_of_longest;
    std::map<RankId, std::vector<Interval>> passes;
    std::map<RankId, Time> exchanges;
    for (const Span& span : timeline_.spans) {
      const OpKind kind = op_of(span).kind;
      const bool updates = kind == OpKind::sum_squares || kind == OpKind::optimizer_step ||
                           kind == OpKind::outer_gradient || kind == OpKind::outer_step;
      if (span.step != window_.step || is_communication(kind) || updates) continue;
      passes[span.rank].push_back({span.start, span.end});
      exchanges[span.rank] += exchanged(span, span.end - span.start);
    }
    for (auto& [rank, intervals] : passes) {
      const std::vector<Interval> united = unite(std::move(intervals));
      const Time span = united.back().end - united.front().begin;
      if (span > longest) longest = span, busy_of_longest = length(united) - exchanges[rank];
    }
    return longest > Time{} ? 1 - busy_of_longest / longest : 0;
  }

  std::vector<Breakdown::KindTime> kinds() const {
    struct Sum {
      Time under_way;
      std::int64_t ops = 0;
    };
    std::map<OpKind, Sum> sums;
    for (const Span& span : timeline_.spans) {
      const Interval part = cut(span);
      const bool is_within = part.begin < part.end;
      if (span.step != window_.step && !is_within) continue;
      Sum& sum = sums[op_of(span).kind];
      if (span.step == window_.step) ++sum.ops;
      if (is_within) sum.under_way += part.end - part.begin;
      for (const InnerExchange& exchange : inside(span)) {
        Sum& inner = sums[exchange.kind];
        if (span.step == window_.step) inner.ops += exchange.ops;
        if (!is_within) continue;
        const Time taken = scaled(part.end - part.begin, exchange.share);
        inner.under_way += taken;
        sum.under_way -= taken;
      }
    }
    const double share = 1 / static_cast<double>(plan_.ranks.size());
    std::vector<Breakdown::KindTime> result;
    for (const auto& [kind, sum] : sums)
      result.push_back({kind, sum.under_way.seconds() * share, sum.ops});
    return result;
  }

  const Plan& plan_;
  const Timeline& timeline_;
  const InnerExchanges* const inner_;
  const std::vector<StepWindow> steps_;
  const StepWindow window_;  // of median length
};

}  // namespace

StepWindow median_step(const Timeline& timeline, std::int64_t warm_up) {
  return median_of(windows_of(timeline, warm_up));
}

Breakdown break_down(const Plan& plan, const Timeline& timeline, std::int64_t warm_up) {
  return BreakDown(plan, timeline, warm_up, nullptr).run();
}

Breakdown break_down(const Plan& folded, const Timeline& timeline, std::int64_t warm_up,
                     const InnerExchanges& inner) {
  return BreakDown(folded, timeline, warm_up, &inner).run();
}

}  // namespace rehearse
