#include "sim/machine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/cluster/spared_latency.h"

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

// What the caller says of the devices that have no exception, profiles of the others.
std::vector<Messaging> messaging_of(const Cluster& cluster, const Messaging& messaging) {
  std::vector<Messaging> by_number = {messaging};
  for (const RankException& exception : cluster.spec().ranks)
    by_number.push_back(exception.device ? exception.device->messaging : messaging);
  return by_number;
}

bool slows_down(const Cluster& cluster) {
  for (std::size_t r = 0; r < cluster.rank_count(); ++r) {
    if (cluster.device(RankId(r)).overlap_slowdown > 0) return true;
  }
  return false;
}

}  // namespace

Machine::Machine(const Cluster& cluster, const Messaging& messaging, Engine& engine)
    : cluster_(cluster),
      messaging_(messaging_of(cluster, messaging)),
      engine_(engine),
      activities_of_rank_(cluster.rank_count(), 0),
      busy_ranks_of_node_(cluster.node_count(), 0),
      computing_(cluster.rank_count()),
      routes_(cluster.rank_count()),
      link_bytes_(cluster.links().size()) {
  for (const Link& link : cluster.links())
    links_.push_back(shares_.add_resource(link.bandwidth.bytes_per_second()));
  if (!is_cpu()) {
    for (std::size_t r = 0; slows_down(cluster) && r < cluster.rank_count(); ++r)
      engines_.push_back(shares_.add_resource(1));
    return;
  }
  for (std::size_t r = 0; r < cluster.rank_count(); ++r)
    threads_.push_back(shares_.add_resource(1));
  for (std::size_t n = 0; n < cluster.node_count(); ++n) {
    const Device& device = device_of_node(n);
    cores_.push_back(device.capacity.empty()
                         ? std::nullopt
                         : std::optional(shares_.add_resource(joint_capacity(n, 1))));
    memories_.push_back(shares_.add_resource(device.memory_bandwidth.bytes_per_second()));
  }
}

const Device& Machine::device_of_node(std::size_t node) const {
  const auto per_node = static_cast<std::size_t>(cluster_.spec().devices_per_node);
  return cluster_.device(RankId(node * per_node));
}

double Machine::joint_capacity(std::size_t node, int busy) const {
  const std::vector<double>& capacity = device_of_node(node).capacity;
  const auto number = static_cast<std::size_t>(std::max(busy, 1) - 1);
  return capacity[std::min(capacity.size() - 1, number)];
}

// ---- what runs ---------------------------------------------------------------------------------

void Machine::compute(RankId rank, const OpPrice& price, double stretch, Done done) {
  if (price.seconds <= Seconds{}) return done();
  stretch /= cluster_.speed(rank);
  const Seconds seconds = price.seconds * stretch;
  if (!is_cpu() && engines_.empty()) return later(seconds, std::move(done));
  uses_.clear();
  if (!is_cpu()) {
    uses_.push_back({engines_[rank.index()], 1});
    begin(seconds.seconds(), 1, 1, {}, std::move(done));
    return;
  }
  use_thread(rank, 1);
  const double traffic = static_cast<double>(price.memory_traffic.bytes()) / seconds.seconds();
  if (traffic > 0) uses_.push_back({memories_[cluster_.node_of(rank).index()], traffic});
  Computing& computing = computing_[rank.index()];
  const auto finished = [&computing, done = std::move(done)] {
    computing.price = nullptr;
    done();
  };
  computing = {begin(seconds.seconds(), 1, 1, {{rank}, 1}, finished), &price, stretch};
}

void Machine::attend(RankId rank, Done done) {
  const Computing& computing = computing_[rank.index()];
  const double wait =
      computing.price == nullptr ? 0 : mean_wait(*computing.price) * computing.stretch;
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
  thread_work(rank, messaging(rank).reduce_per_byte * static_cast<double>(bytes.bytes()),
              std::move(done));
}

// Time of a rank's own thread; on a GPU, where another engine does it, plain time.
void Machine::thread_work(RankId rank, Seconds seconds, Done done) {
  if (seconds <= Seconds{}) return done();
  seconds = seconds * (1 / cluster_.speed(rank));
  if (!is_cpu()) return later(seconds, std::move(done));
  uses_.clear();
  use_thread(rank, 1);
  begin(seconds.seconds(), 1, 1, {{rank}, 1}, std::move(done));
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
void Machine::transfer(RankId from, RankId to, Bytes bytes, Done done,
                       const MessageProtocol* protocol) {
  if (free_messages_.empty()) {
    free_messages_.push_back(static_cast<std::uint32_t>(messages_.size()));
    messages_.emplace_back();
  }
  const std::uint32_t message = free_messages_.back();
  free_messages_.pop_back();
  messages_[message] = {from, to, bytes, &route(from, to), protocol, 2, std::move(done)};
  const bool is_free =
      messaging(from).per_message <= Seconds{} && messaging(to).per_message <= Seconds{};
  if (is_free) return leave(message);
  thread_work(from, messaging(from).per_message, [this, message] { prepared(message); });
  thread_work(to, messaging(to).per_message, [this, message] { prepared(message); });
}

void Machine::prepared(std::uint32_t slot) {
  if (--messages_[slot].unprepared == 0) leave(slot);
}

void Machine::leave(std::uint32_t slot) {
  const Message& message = messages_[slot];
  Seconds latency = std::max(messaging(message.from).latency, messaging(message.to).latency);
  for (const LinkId link : *message.route) {
    latency += cluster_.links()[link.index()].latency;
    link_bytes_[link.index()] += message.bytes;
  }
  latency = latency_by(message.protocol, latency);
  // Without latency it goes at once, unless nothing holds it up at all: then whatever follows would
  // be called from within, and so on.
  if (latency <= Seconds{} && !message.route->empty() && message.bytes > Bytes{})
    return carry(slot);
  later(latency, [this, slot] { carry(slot); });
}

void Machine::carry(std::uint32_t slot) {
  free_messages_.push_back(slot);
  Message& message = messages_[slot];
  uses_.clear();
  for (const LinkId link : *message.route)
    uses_.push_back({links_[link.index()], 1 / rate_share(message.protocol)});
  const double sending =
                   messaging(message.from).send_per_byte.seconds() / cluster_.speed(message.from),
               receiving =
                   messaging(message.to).receive_per_byte.seconds() / cluster_.speed(message.to);
  BusyRanks busy;
  double weight = 1;
  if (is_cpu()) {
    if (sending > 0) use_thread(message.from, sending), busy.add(message.from);
    if (receiving > 0) use_thread(message.to, receiving), busy.add(message.to);
    // Shares of a thread are compared as shares of time.
    if (std::max(sending, receiving) > 0) weight = 1 / std::max(sending, receiving);
  } else if (!engines_.empty()) {
    busy.add(message.from), busy.add(message.to);
  }
  if (uses_.empty() || message.bytes == Bytes{}) return std::exchange(message.done, nullptr)();
  for (const LinkId link : *message.route)
    flows_.cross(link, message.bytes);
  begin(static_cast<double>(message.bytes.bytes()), weight, reach(message), busy,
        std::move(message.done));
}

// The rate that a message of its size reaches on links that it has to itself.
double Machine::reach(const Message& message) const {
  double rate = FairShare::kUnbounded;
  for (const LinkId id : *message.route) {
    const Link& link = cluster_.links()[id.index()];
    if (link.efficiency.empty()) continue;
    rate = std::min(rate, link.bandwidth.bytes_per_second() * efficiency(link, message.bytes));
  }
  return rate * rate_share(message.protocol);
}

// A rank's thread and its node's cores; two uses of one resource by one flow become one.
void Machine::use_thread(RankId rank, double amount) {
  const auto add = [&](ResourceId resource) {
    const auto known = std::find_if(uses_.begin(), uses_.end(),
                                    [&](const Use& use) { return use.resource == resource; });
    if (known != uses_.end()) {
      known->amount += amount;
    } else {
      uses_.push_back({resource, amount});
    }
  };
  add(threads_[rank.index()]);
  if (const auto cores = cores_[cluster_.node_of(rank).index()]) add(*cores);
}

const Route& Machine::route(RankId from, RankId to) {
  const auto [known, is_new] = routes_[from.index()].try_emplace(to);
  if (is_new) known->second = cluster_.route(from, to);
  return known->second;
}

// ---- activities --------------------------------------------------------------------------------

FlowId Machine::begin(double work, double weight, double bound, const BusyRanks& busy, Done done) {
  for (std::size_t i = 0; i < busy.count; ++i)
    set_busy(busy.ranks[i], +1);
  const FlowId flow = shares_.add_flow(uses_, weight, bound);
  if (activities_.size() <= flow.index()) activities_.resize(flow.index() + 1);
  Activity& activity = activities_[flow.index()];
  activity.flow = flow;
  activity.work = activity.left = work;
  activity.rate = 0;
  activity.since = engine_.now();
  activity.busy = busy;
  activity.done = std::move(done);
  activity.crossings = flows_.begin();
  return flow;
}

void Machine::set_busy(RankId rank, int change) {
  int& own = activities_of_rank_[rank.index()];
  const bool was = own > 0;
  own += change;
  if (was == (own > 0)) return;
  if (!is_cpu()) {
    if (engines_.empty()) return;
    const double lost = own > 0 ? cluster_.device(rank).overlap_slowdown : 0;
    return shares_.set_capacity(engines_[rank.index()], 1 - lost);
  }
  const std::size_t node = cluster_.node_of(rank).index();
  if (!cores_[node]) return;
  busy_ranks_of_node_[node] += change > 0 ? 1 : -1;
  shares_.set_capacity(*cores_[node], joint_capacity(node, busy_ranks_of_node_[node]));
}

void Machine::settle() {
  for (const FlowId flow : shares_.solve()) {
    Activity& activity = activities_[flow.index()];
    bring_up_to_now(activity);
    activity.rate = shares_.rate(flow);
    plan_next(activity);
  }
}

void Machine::bring_up_to_now(Activity& activity) {
  if (activity.since == engine_.now()) return;
  const double seconds = (engine_.now() - activity.since).seconds().seconds();
  const double done = std::min(activity.left, seconds * activity.rate);
  flows_.note(activity.crossings, activity.since, engine_.now(), done / activity.work);
  activity.left -= done;
  activity.since = engine_.now();
}

// Its end, or the point that somebody waits for before it. An event that comes too early looks
// again: nothing is moved but forwards.
void Machine::plan_next(Activity& activity) {
  const double until = activity.watchers.empty() ? 0 : activity.watchers.back().left;
  const Seconds away = Seconds::seconds(std::max(0.0, activity.left - until) / activity.rate);
  activity.next = after(away);
  if (activity.planned && activity.looks <= activity.next) return;
  activity.looks = activity.next;
  if (activity.planned) return engine_.reschedule(*activity.planned, activity.looks);
  activity.planned =
      engine_.schedule(activity.looks, [this, slot = activity.flow.value()] { look(slot); });
}

void Machine::look(std::uint32_t slot) {
  Activity& activity = activities_[slot];
  activity.planned.reset();
  if (activity.next > engine_.now()) {
    activity.looks = activity.next;
    activity.planned = engine_.schedule(activity.looks, [this, slot] { look(slot); });
    return;
  }
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
  flows_.note(activity.crossings, activity.since, engine_.now(), activity.left / activity.work);
  shares_.remove_flow(activity.flow);
  for (std::size_t i = 0; i < activity.busy.count; ++i)
    set_busy(activity.busy.ranks[i], -1);
  const Done done = std::exchange(activity.done, nullptr);
  done();
}

}  // namespace rehearse::sim
