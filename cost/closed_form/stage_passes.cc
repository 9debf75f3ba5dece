#include "cost/closed_form/stage_passes.h"

#include <algorithm>
#include <map>
#include <optional>

#include "model/base/check.h"

namespace rehearse {
namespace {

// What a figure is after `more` repeats, if one more adds what the last one did.
double onward(double few, double one_more, double more) {
  return one_more == Moment::kNever ? one_more : one_more + more * (one_more - few);
}
Moment onward(const Moment& few, const Moment& one_more, double more) {
  return {onward(few.computed, one_more.computed, more),
          onward(few.exchanged, one_more.exchanged, more),
          onward(few.received, one_more.received, more)};
}
std::int64_t onward(std::int64_t few, std::int64_t one_more, std::int64_t more) {
  return one_more + more * (one_more - few);
}
double plus(double figure, double seconds) {
  return figure + seconds;
}
Moment plus(const Moment& figure, double seconds) {
  return figure.plus(seconds);
}

// The block of the shorter stage that is as far from the nearer end; none: the middle one.
std::optional<std::size_t> partner(std::size_t block, std::size_t before) {
  const std::size_t middle = before + kFewRepeats / 2;
  if (block == middle) return std::nullopt;
  return block < middle ? block : block - 1;
}

}  // namespace

StageFigures::StageFigures(const StageReading& reading) : is_alone_(true) {
  for (std::size_t a = 0; a < kStageActions; ++a) {
    const auto& read = reading.actions[a];
    actions_[a] = {read.is_there, read.times, read.times, {read.delta, 0}, {}, {}};
    for (const StageReading::OpPeak& op : read.ops)
      actions_[a].ops.push_back({op.live, 0});
  }
  one_more_ = by_place(reading);
}

StageFigures::StageFigures(const StageReading& few, const StageReading& one_more,
                           std::size_t before)
    : before_(before) {
  for (std::size_t a = 0; a < kStageActions; ++a) {
    const auto &less = few.actions[a], &more = one_more.actions[a];
    actions_[a] = {
        more.is_there, less.times, more.times, {more.delta, more.delta - less.delta}, {}, {}};
    if (less.passes.size() == more.passes.size()) {
      for (std::size_t op = 0; op < less.passes.size(); ++op)
        actions_[a].growing.push_back({less.passes[op], more.passes[op]});
    }
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> known;
    for (const StageReading::OpPeak& op : less.ops)
      known[{op.block, op.order}] = op.live;
    for (const StageReading::OpPeak& op : more.ops) {
      const auto block = partner(op.block, before);
      if (!block) continue;
      const auto found = known.find({*block, op.order});
      REHEARSE_CHECK(found != known.end(), "op {} of block {} has no partner", op.order, op.block);
      actions_[a].ops.push_back({op.live, op.live - found->second});
    }
  }
  few_ = by_place(few);
  one_more_ = by_place(one_more);
}

StageFigures::Known StageFigures::by_place(const StageReading& reading) {
  Known known;
  for (const StageReading::Completion& it : reading.completions) {
    known.resize(std::max(known.size(), it.block + 1));
    auto& block = known[it.block];
    block.resize(std::max(block.size(), it.segment + 1));
    block[it.segment] = {it.ready, it.live};
  }
  return known;
}

std::int64_t StageFigures::more(std::size_t repeats) const {
  return is_alone_
             ? 0
             : static_cast<std::int64_t>(repeats) - static_cast<std::int64_t>(kFewRepeats) - 1;
}

// The host may need longer for few blocks and the device for many, or the other way round.
double StageFigures::Action::beyond(double more) const {
  double sum = 0;
  for (const auto& [few, one_more] : growing) {
    const double kernels = onward(few.kernels, one_more.kernels, more),
                 queueing = onward(few.queueing, one_more.queueing, more);
    sum += std::max(kernels, queueing) - onward(few.seconds(), one_more.seconds(), more);
  }
  return sum;
}

PassTimes StageFigures::times(std::size_t action, std::size_t repeats) const {
  const Action& own = actions_[action];
  const auto further = static_cast<double>(more(repeats));
  const double beyond = own.beyond(further);
  const auto of = [&](auto PassTimes::*figure) {
    return plus(onward(own.few.*figure, own.one_more.*figure, further), beyond);
  };
  return {of(&PassTimes::computed), of(&PassTimes::exchanged), of(&PassTimes::output),
          of(&PassTimes::length), of(&PassTimes::busy)};
}

StageFigures::Memory StageFigures::memory(std::size_t action, std::size_t repeats) const {
  const Action& own = actions_[action];
  const std::int64_t further = more(repeats);
  std::int64_t peak = 0;
  for (const Line& op : own.ops)
    peak = std::max(peak, op.after(further));
  return {peak, own.delta.after(further)};
}

StageFigures::Completion StageFigures::completion(std::size_t block, std::size_t segment,
                                                  std::size_t repeats) const {
  const auto of = [&](const Known& known, std::size_t of_block) {
    REHEARSE_CHECK(of_block < known.size() && segment < known[of_block].size(),
                   "nothing is complete in segment {} of block {}", segment, of_block);
    return known[of_block][segment];
  };
  if (is_alone_) return of(one_more_, block);
  const std::int64_t further = more(repeats);
  const auto along = [&](std::size_t shorter, std::size_t longer) {
    const auto a = of(few_, shorter), b = of(one_more_, longer);
    return Completion{onward(a.ready, b.ready, static_cast<double>(further)),
                      onward(a.live, b.live, further)};
  };
  if (block <= before_ + 1) return along(block, block);
  if (block + 1 >= before_ + repeats) {
    const std::size_t longer = block + kFewRepeats + 1 - repeats;
    return along(longer - 1, longer);
  }
  // From the second repeat on every one adds as much.
  const auto second = along(before_ + 1, before_ + 1);
  const auto a = of(one_more_, before_ + 1), b = of(one_more_, before_ + 2);
  const auto places = static_cast<std::int64_t>(block - before_ - 1);
  return {second.ready + static_cast<double>(places) * (b.ready - a.ready),
          second.live + places * (b.live - a.live)};
}

StagePasses stage_passes(const StageFigures& figures, std::size_t repeats) {
  StagePasses passes;
  for (std::size_t a = 0; a < kStageActions; ++a) {
    if (!figures.has(a)) continue;
    passes.times[a] = figures.times(a, repeats);
    passes.memory[a] = figures.memory(a, repeats);
  }
  passes.figures = &figures;
  passes.repeats = repeats;
  return passes;
}

}  // namespace rehearse
