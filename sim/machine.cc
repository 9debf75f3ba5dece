#include "sim/machine.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace rehearse::sim {
namespace {

// How long a moment at random waits, on average, for the end of the kernel that it falls into: long
// kernels catch more moments (renewal theory: the mean residual life is E[d^2] / 2 E[d]).
double mean_wait(const OpPrice& price) {
  double sum = 0, squares = 0;
  for (const Seconds kernel : price.kernels) {
    sum += kernel.seconds();
    squares += kernel.seconds() * kernel.seconds();
  }
  return sum > 0 ? squares / (2 * sum) : 0;
}

double capacity_of(const Device& device, int busy) {
  const auto last = device.capacity.size() - 1;
  return device.capacity[std::min(last, static_cast<std::size_t>(std::max(busy, 1) - 1))];
}

}  // namespace

Machine::Machine(const Cluster& cluster, const Messaging& messaging, Engine& engine)
    : cluster_(cluster),
      messaging_(messaging),
      engine_(engine),
      activities_of_rank_(cluster.rank_count(), 0),
      busy_ranks_of_node_(cluster.node_count(), 0),
      computing_(cluster.rank_count()),
      routes_(cluster.rank_count()),
      link_bytes_(cluster.links().size()) {
  for (const Link& link : cluster.links())
    links_.push_back(shares_.add_resource(link.bandwidth.bytes_per_second()));
  if (!is_cpu()) return;
  const Device& device = cluster.device();
  for (std::size_t r = 0; r < cluster.rank_count(); ++r)
    threads_.push_back(shares_.add_resource(1));
  for (std::size_t n = 0; n < cluster.node_count(); ++n) {
    if (!device.capacity.empty()) cores_.push_back(shares_.add_resource(capacity_of(device, 1)));
    memories_.push_back(shares_.add_resource(device.memory_bandwidth.bytes_per_second()));
  }
}

// ---- what runs ---------------------------------------------------------------------------------

void Machine::compute(RankId rank, const OpPrice& price, Done done) {
  if (price.seconds <= Seconds{}) return done();
  if (!is_cpu()) return later(price.seconds, std::move(done));
  std::vector<Use> uses;
  use_thread(uses, rank, 1);
  const double traffic =
      static_cast<double>(price.memory_traffic.bytes()) / price.seconds.seconds();
  if (traffic > 0) uses.push_back({memories_[cluster_.node_of(rank).index()], traffic});
  Computing& computing = computing_[rank.index()];
  const auto finished = [&computing, done = std::move(done)] {
    computing.price = nullptr;
    done();
  };
  computing = {begin(price.seconds.seconds(), std::move(uses), 1, 1, {rank}, finished), &price};
}

void Machine::attend(RankId rank, Done done) {
  const Computing& computing = computing_[rank.index()];
  const double wait = computing.price == nullptr ? 0 : mean_wait(*computing.price);
  if (wait <= 0) return done();
  Activity& activity = activities_[computing.flow.index()];
  bring_up_to_now(activity);
  const double left = std::max(0.0, activity.left - wait);
  // Those who wait for the same moment are called in the order they came.
  const auto later = std::find_if(activity.watchers.begin(), activity.watchers.end(),
                                  [&](const Watcher& other) { return other.left >= left; });
  activity.watchers.insert(later, {left, std::move(done)});
  if (activity.rate > 0) plan_next(activity);
}

void Machine::reduce(RankId rank, Bytes bytes, Done done) {
  thread_work(rank, messaging_.reduce_per_byte * static_cast<double>(bytes.bytes()),
              std::move(done));
}

// Time of a rank's own thread; on a GPU, where another engine does it, plain time.
void Machine::thread_work(RankId rank, Seconds seconds, Done done) {
  if (seconds <= Seconds{}) return done();
  if (!is_cpu()) return later(seconds, std::move(done));
  std::vector<Use> uses;
  use_thread(uses, rank, 1);
  begin(seconds.seconds(), std::move(uses), 1, 1, {rank}, std::move(done));
}

void Machine::later(Seconds wait, Done done) {
  engine_.schedule(after(wait), std::move(done));
}

Time Machine::after(Seconds wait) const {
  constexpr double kLast = 9e6;  // seconds: the clock ends after 2^63 ps
  if (!(engine_.now().seconds().seconds() + wait.seconds() <= kLast)) throw BeyondTheClock{wait};
  return engine_.now() + Time::from(wait);
}

// Both threads prepare the message, then it is on its way for the latency, then its bytes flow.
// What is captured fits into std::function itself: messages are too many to allocate something for
// each stage.
void Machine::transfer(RankId from, RankId to, Bytes bytes, Done done) {
  if (free_messages_.empty()) {
    free_messages_.push_back(static_cast<std::uint32_t>(messages_.size()));
    messages_.emplace_back();
  }
  const std::uint32_t message = free_messages_.back();
  free_messages_.pop_back();
  messages_[message] = {from, to, bytes, 2, std::move(done)};
  thread_work(from, messaging_.per_message, [this, message] { prepared(message); });
  thread_work(to, messaging_.per_message, [this, message] { prepared(message); });
}

void Machine::prepared(std::uint32_t slot) {
  Message& message = messages_[slot];
  if (--message.unprepared > 0) return;
  Seconds latency = messaging_.latency;
  for (const LinkId link : route(message.from, message.to)) {
    latency += cluster_.links()[link.index()].latency;
    link_bytes_[link.index()] += message.bytes;
  }
  later(latency, [this, slot] {
    free_messages_.push_back(slot);
    carry(std::move(messages_[slot]));
  });
}

void Machine::carry(Message message) {
  const auto [from, to] = std::pair(message.from, message.to);
  std::vector<Use> uses;
  for (const LinkId link : route(from, to))
    uses.push_back({links_[link.index()], 1});
  const double sending = messaging_.send_per_byte.seconds(),
               receiving = messaging_.receive_per_byte.seconds();
  std::vector<RankId> busy;
  double weight = 1;
  if (is_cpu()) {
    if (sending > 0) use_thread(uses, from, sending), busy.push_back(from);
    if (receiving > 0) use_thread(uses, to, receiving), busy.push_back(to);
    // Shares of a thread are compared as shares of time.
    if (std::max(sending, receiving) > 0) weight = 1 / std::max(sending, receiving);
  }
  if (uses.empty() || message.bytes == Bytes{}) return message.done();
  begin(static_cast<double>(message.bytes.bytes()), std::move(uses), weight, FairShare::kUnbounded,
        std::move(busy), std::move(message.done));
}

// A rank's thread and its node's cores; two uses of one resource by one flow become one.
void Machine::use_thread(std::vector<Use>& uses, RankId rank, double amount) const {
  const auto add = [&](ResourceId resource) {
    const auto known = std::find_if(uses.begin(), uses.end(),
                                    [&](const Use& use) { return use.resource == resource; });
    if (known != uses.end()) {
      known->amount += amount;
    } else {
      uses.push_back({resource, amount});
    }
  };
  add(threads_[rank.index()]);
  if (!cores_.empty()) add(cores_[cluster_.node_of(rank).index()]);
}

const Route& Machine::route(RankId from, RankId to) {
  const auto [known, is_new] = routes_[from.index()].try_emplace(to);
  if (is_new) known->second = cluster_.route(from, to);
  return known->second;
}

// ---- activities --------------------------------------------------------------------------------

FlowId Machine::begin(double work, std::vector<Use> uses, double weight, double bound,
                      std::vector<RankId> busy, Done done) {
  for (const RankId rank : busy)
    set_busy(rank, +1);
  const FlowId flow = shares_.add_flow(std::move(uses), weight, bound);
  if (activities_.size() <= flow.index()) activities_.resize(flow.index() + 1);
  Activity& activity = activities_[flow.index()];
  activity = {flow, work, 0, engine_.now(), std::nullopt, std::move(busy), std::move(done), {}};
  return flow;
}

void Machine::set_busy(RankId rank, int change) {
  int& own = activities_of_rank_[rank.index()];
  const bool was = own > 0;
  own += change;
  if (was == (own > 0) || cores_.empty()) return;
  const std::size_t node = cluster_.node_of(rank).index();
  busy_ranks_of_node_[node] += change > 0 ? 1 : -1;
  shares_.set_capacity(cores_[node], capacity_of(cluster_.device(), busy_ranks_of_node_[node]));
}

void Machine::settle() {
  for (const FlowId flow : shares_.solve()) {
    Activity& activity = activities_[flow.index()];
    const double rate = shares_.rate(flow);
    if (rate == activity.rate) continue;
    bring_up_to_now(activity);
    activity.rate = rate;
    plan_next(activity);
  }
}

void Machine::bring_up_to_now(Activity& activity) {
  const double seconds = (engine_.now() - activity.since).seconds().seconds();
  activity.left = std::max(0.0, activity.left - seconds * activity.rate);
  activity.since = engine_.now();
}

// Its end, or the point that somebody waits for before it.
void Machine::plan_next(Activity& activity) {
  const double until = activity.watchers.empty() ? 0 : activity.watchers.back().left;
  const Seconds away = Seconds::seconds(std::max(0.0, activity.left - until) / activity.rate);
  const Time time = after(away);
  if (activity.planned) return engine_.reschedule(*activity.planned, time);
  activity.planned =
      engine_.schedule(time, [this, slot = activity.flow.value()] { reach_next(slot); });
}

void Machine::reach_next(std::uint32_t slot) {
  Activity& activity = activities_[slot];
  activity.planned.reset();
  if (activity.watchers.empty()) return end(slot);
  activity.left = activity.watchers.back().left;
  activity.since = engine_.now();
  const Done done = std::move(activity.watchers.back().done);
  activity.watchers.pop_back();
  plan_next(activity);
  done();
}

void Machine::end(std::uint32_t slot) {
  Activity& activity = activities_[slot];
  shares_.remove_flow(activity.flow);
  for (const RankId rank : activity.busy)
    set_busy(rank, -1);
  const Done done = std::move(activity.done);
  done();
}

}  // namespace rehearse::sim
