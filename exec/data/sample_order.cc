#include "exec/data/sample_order.h"

#include <numeric>
#include <span>

#include "exec/data/streams.h"
#include "model/base/check.h"
#include "model/base/random.h"

namespace rehearse::exec {

SampleOrder::SampleOrder(std::uint64_t seed, std::int64_t samples, const BatchSize& size)
    : seed_(seed), samples_(samples), size_(size) {
  REHEARSE_CHECK(samples >= 1, "a training set of {} samples", samples);
  REHEARSE_CHECK(size.micro_batch >= 1 && size.batch % size.micro_batch == 0,
                 "a batch of {} samples in micro-batches of {}", size.batch, size.micro_batch);
}

std::vector<std::int64_t> SampleOrder::micro_batch(std::int64_t step, std::int64_t number) {
  REHEARSE_CHECK(step >= 0 && number >= 0 && number < size_.batch / size_.micro_batch,
                 "micro-batch {} of step {}", number, step);
  const std::int64_t first = first_place(step, number);
  std::vector<std::int64_t> numbers;
  numbers.reserve(static_cast<std::size_t>(size_.micro_batch));
  for (std::int64_t place = first; place < first + size_.micro_batch; ++place) {
    numbers.push_back(order_of(place / samples_)[static_cast<std::size_t>(place % samples_)]);
  }
  return numbers;
}

std::int64_t SampleOrder::first_place(std::int64_t step, std::int64_t number) const {
  return step * size_.batch + number * size_.micro_batch;
}

const std::vector<std::int64_t>& SampleOrder::order_of(std::int64_t epoch) {
  if (epoch_ == epoch) return order_;
  order_.resize(static_cast<std::size_t>(samples_));
  std::iota(order_.begin(), order_.end(), 0);
  Random(seed_, stream_of(Draw::epoch_order, static_cast<std::uint64_t>(epoch)))
      .shuffle(std::span(order_));
  epoch_ = epoch;
  return order_;
}

}  // namespace rehearse::exec
