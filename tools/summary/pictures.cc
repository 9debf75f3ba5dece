#include "tools/summary/pictures.h"

#include <algorithm>
#include <map>

#include "model/base/check.h"
#include "model/plan/alive_over_time.h"
#include "model/plan/critical_path.h"
#include "model/plan/layout.h"
#include "model/plan/verify.h"

namespace rehearse {
namespace {

std::vector<std::size_t> first_spans(const Plan& plan) {
  std::vector<std::size_t> first;
  std::size_t next = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    first.push_back(next);
    next += program_of(plan, RankId(r)).ops.size();
  }
  return first;
}

std::span<const Span> spans_of(const Timeline& timeline, RankId rank, std::int64_t step) {
  const auto is_before = [&](const Span& span) {
    return std::pair(span.rank, span.step) < std::pair(rank, step);
  };
  const auto is_within = [&](const Span& span) { return span.rank == rank && span.step == step; };
  const auto begin = std::partition_point(timeline.spans.begin(), timeline.spans.end(), is_before);
  return {begin, std::partition_point(begin, timeline.spans.end(), is_within)};
}

// Sums by kind of buffer, from event to event.
class CurveMaker {
 public:
  CurveMaker(const RankProgram& program, Time origin) : program_(program), origin_(origin) {
    std::map<BufferKind, Bytes> kinds;
    for (const Buffer& buffer : program.buffers)
      kinds[buffer.kind] += is_persistent(buffer.kind) ? buffer.size : Bytes{};
    buffers_.resize(kinds.size());
    for (const auto& [kind, state] : kinds) {
      numbers_[kind] = curve_.kinds.size();
      curve_.kinds.push_back(kind);
      alive_.push_back(state);
    }
    for (const Buffer& buffer : program.buffers)
      buffers_[numbers_[buffer.kind]] += is_persistent(buffer.kind) ? 1 : 0;
    take(origin, std::nullopt);
  }

  void run(const std::vector<LifeEvent>& events) {
    for (std::size_t e = 0; e < events.size(); ++e) {
      const LifeEvent& event = events[e];
      const std::size_t kind = numbers_[program_.buffers[event.buffer.index()].kind];
      const Bytes size = program_.buffers[event.buffer.index()].size;
      alive_[kind] = event.begins ? alive_[kind] + size : alive_[kind] - size;
      buffers_[kind] += event.begins ? 1 : -1;
      const bool is_last = e + 1 == events.size() || events[e + 1].time != event.time;
      if (is_last || (event.begins && !events[e + 1].begins)) take(event.time, event.op);
    }
  }

  // Of each part of the step the highest, and all of few.
  CurvePicture made(std::size_t most) {
    curve_.moments = std::ssize(curve_.points);
    if (curve_.points.size() <= most) return std::move(curve_);
    const double end = curve_.points.back().time.seconds();
    std::vector<CurvePicture::Point> kept;
    std::size_t part = most;  // of the last one kept; no part has this number
    for (CurvePicture::Point& point : curve_.points) {
      const auto own =
          static_cast<std::size_t>(point.time.seconds() / end * static_cast<double>(most - 1));
      if (own != part) {
        kept.push_back(std::move(point));
      } else if (sum(point.alive) > sum(kept.back().alive)) {
        kept.back() = std::move(point);
      }
      part = own;
    }
    curve_.points = std::move(kept);
    return std::move(curve_);
  }

 private:
  static Bytes sum(const std::vector<Bytes>& alive) {
    Bytes all;
    for (const Bytes bytes : alive)
      all += bytes;
    return all;
  }

  void take(Time time, std::optional<OpId> op) {
    const Seconds since = (time - origin_).seconds();
    curve_.points.push_back({since, alive_});
    const Bytes size = sum(alive_);
    if (op && size <= curve_.peak.size) return;
    curve_.peak = {since, op ? describe_op(program_, *op) : "", size, {}};
    for (std::size_t k = 0; k < alive_.size(); ++k) {
      if (buffers_[k] > 0) curve_.peak.alive.push_back({curve_.kinds[k], buffers_[k], alive_[k]});
    }
    std::stable_sort(curve_.peak.alive.begin(), curve_.peak.alive.end(),
                     [](const auto& a, const auto& b) { return a.size > b.size; });
  }

  const RankProgram& program_;
  const Time origin_;
  CurvePicture curve_;
  std::map<BufferKind, std::size_t> numbers_;
  std::vector<Bytes> alive_;           // by kind
  std::vector<std::int64_t> buffers_;  // by kind
};

}  // namespace

PicturedStep pictured_step(const Timeline& timeline, std::int64_t warm_up) {
  const StepWindow window = median_step(timeline, warm_up);
  PicturedStep pictured{window.step, window.begin};
  for (const Span& span : timeline.spans) {
    if (span.step == window.step) pictured.origin = std::min(pictured.origin, span.start);
  }
  return pictured;
}

PathPicture path_picture(const Plan& plan, const Timeline& timeline, std::int64_t warm_up) {
  const Time origin = pictured_step(timeline, warm_up).origin;
  const std::vector<std::size_t> first = first_spans(plan);
  std::map<std::optional<OpKind>, Seconds> shares;
  PathPicture picture;
  for (const PathPart& part : critical_path(plan, timeline, warm_up)) {
    std::optional<OpKind> kind;
    std::optional<std::int64_t> span;
    if (part.op) {
      kind = program_of(plan, part.rank).ops[part.op->index()].kind;
      span = static_cast<std::int64_t>(first[part.rank.index()] + part.op->index());
    }
    shares[kind] += (part.end - part.begin).seconds();
    picture.parts.push_back({static_cast<std::int64_t>(part.rank.index()), span,
                             (part.begin - origin).seconds(), (part.end - origin).seconds()});
  }
  for (const auto& [kind, time] : shares)
    picture.shares.push_back({kind, time});
  std::stable_sort(picture.shares.begin(), picture.shares.end(),
                   [](const auto& a, const auto& b) { return a.time > b.time; });
  return picture;
}

CurvePicture curve_picture(const Plan& plan, const Timeline& timeline, std::int64_t warm_up,
                           const CurveOptions& options) {
  const PicturedStep pictured = pictured_step(timeline, warm_up);
  const RankId rank(static_cast<std::size_t>(options.rank));
  const RankProgram& program = program_of(plan, rank);
  CurveMaker maker(program, pictured.origin);
  maker.run(life_events(program, spans_of(timeline, rank, pictured.step)));
  CurvePicture curve = maker.made(options.most_points);
  curve.rank = options.rank;
  curve.alike = options.alike;
  curve.beside = options.beside;
  curve.arena = lay_out(program).arena;
  return curve;
}

}  // namespace rehearse
