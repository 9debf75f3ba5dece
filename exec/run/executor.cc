#include "exec/run/executor.h"

#include <time.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "exec/run/tags.h"
#include "model/base/check.h"
#include "model/plan/verify.h"

namespace rehearse::exec {

// An issued op and how far it has come.
struct Executor::Running {
  OpId op;
  Time issue;
  std::optional<Request> message;
  std::optional<CollectiveRun> collective;
  std::size_t launched = 0;
  std::optional<Mark> end;  // behind all of it, once it is queued
  bool moved = false;       // since it was last polled
};

std::int64_t Executor::now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Time Executor::now() const {
  return Time::nanoseconds(now_ns() - origin_ns_);
}

Executor::Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                   BatchSource& batches, ExecutorOptions options, std::int64_t origin_ns)
    : Executor(plan, net, backend, transport, batches, options, origin_ns,
               Arena(program_of(plan, transport.rank()), backend.device(), options.poison)) {
  if (options.initializes) parameters_.initialize(backend, plan.training.seed);
}

Executor::Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                   BatchSource& batches, ExecutorOptions options, Executor&& before)
    : Executor(
          plan, net, backend, transport, batches, options, before.origin_ns_,
          Arena(program_of(plan, transport.rank()), options.poison, std::move(before.arena_))) {}

Executor::Executor(const Plan& plan, const Net& net, Backend& backend, Transport& transport,
                   BatchSource& batches, ExecutorOptions options, std::int64_t origin_ns,
                   Arena&& arena)
    : plan_(plan),
      program_(program_of(plan, transport.rank())),
      rank_(transport.rank()),
      net_(net_of(plan, net, rank_)),
      backend_(backend),
      device_(backend.device()),
      transport_(transport),
      batches_(batches),
      options_(options),
      origin_ns_(origin_ns),
      arena_(std::move(arena)),
      parameters_(plan, rank_, net_, arena_),
      compute_(plan, rank_, net_, backend, arena_, parameters_),
      recorder_(compute_, device_, options.records),
      finite_check_(plan, rank_, net_, backend, arena_, compute_, parameters_),
      state_ops_(plan, rank_, backend, arena_, parameters_),
      lanes_(program_.lanes.size()) {
  for (std::size_t op = 0; op < program_.ops.size(); ++op) {
    lanes_[program_.ops[op].lane.index()].ops.push_back(OpId(op));
  }
  traffic_.sent_by_group.resize(plan.groups.size());
}

Executor::~Executor() = default;

double Executor::run_step(std::int64_t step) {
  step_ = step;
  compute_.begin_step(step);
  losses_.assign(static_cast<std::size_t>(program_.micro_batches), 0);
  ended_.assign(program_.ops.size(), false);
  ended_count_ = 0;
  for (Lane& lane : lanes_)
    lane.next = 0;
  spans_.resize(spans_.size() + program_.ops.size());
  std::int64_t idle_since = 0;
  while (ended_count_ < program_.ops.size()) {
    bool moved = false;
    waits_for_device_ = false;
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
      moved = poll(lane) || moved;
    if (moved) {
      transport_.reset_idle();
      idle_since = 0;
    } else {
      wait(idle_since);
    }
  }
  fold_tree(losses_.size(),
            [&](std::size_t left, std::size_t right) { losses_[left] += losses_[right]; });
  return losses_.front();
}

// Issues, advances or ends the lane's op; whether anything happened.
bool Executor::poll(std::size_t number) {
  Lane& lane = lanes_[number];
  if (lane.next == lane.ops.size()) return false;
  const OpId id = lane.ops[lane.next];
  device_.select(number);
  if (!lane.running) {
    if (!is_ready(program_.ops[id.index()])) return false;
    issue(lane, id);
  }
  Running& running = *lane.running;
  if (!running.end) {
    if (!advance(running)) return running.moved;
    put_behind(running);
  }
  if (!has_ended(program_.ops[id.index()]) || !device_.is_passed(*running.end)) {
    waits_for_device_ = true;
    return false;
  }
  finish(lane);
  return true;
}

bool Executor::is_ready(const Op& op) const {
  return std::all_of(op.after.begin(), op.after.end(), [&](OpId before) {
    return ended_[before.index()] || waited_for(before) != nullptr;
  });
}

// Whether all before it have: a queue that waits for another is not looked at sooner.
bool Executor::has_ended(const Op& op) const {
  return std::all_of(op.after.begin(), op.after.end(),
                     [&](OpId before) { return ended_[before.index()]; });
}

// Whether the host reads what it brings, once it has ended.
bool Executor::is_read(OpId id) const {
  const Op& op = program_.ops[id.index()];
  return is_pass(op.kind) || op.kind == OpKind::sum_squares || is_of_squares(program_, op) ||
         compute_.losses(id).memory != nullptr;
}

// The op, where it stands in its queue to its end and others' queues may wait for that: the host
// has nothing to read of it.
const Executor::Running* Executor::waited_for(OpId id) const {
  const Op& op = program_.ops[id.index()];
  const Running* const running = lanes_[op.lane.index()].running.get();
  const bool is_queued = running != nullptr && running->op == id && running->end;
  return is_queued && !is_read(id) ? running : nullptr;
}

void Executor::issue(Lane& lane, OpId id) {
  const Op& op = program_.ops[id.index()];
  lane.running = std::make_unique<Running>();
  lane.running->op = id;
  lane.running->issue = now();
  for (const OpId before : op.after) {
    if (!ended_[before.index()]) device_.wait_for(*waited_for(before)->end);
  }
  for (const Operand& operand : op.operands) {
    if (operand.allocates) arena_.allocate(operand.buffer);
  }
  if (op.kind == OpKind::send || op.kind == OpKind::receive) begin_transfer(*lane.running, op);
  if (is_collective(op.kind)) begin_collective(*lane.running, op);
}

void Executor::begin_transfer(Running& running, const Op& op) {
  const Transfer& transfer = transfer_of(op);
  const RankId peer = plan_.ranks[rank_.index()].peers[transfer.peer];
  // All of it, or the share of the value that this tensor-parallel rank moves.
  const auto size = static_cast<std::size_t>(transfer.bytes.bytes());
  const std::span<std::byte> whole = arena_.at(op.operands.front().buffer);
  const auto slice = static_cast<std::size_t>(plan_.ranks[rank_.index()].slice);
  const std::span<std::byte> buffer =
      size < whole.size() ? whole.subspan(slice * size, size) : whole;
  const std::int64_t tag = kFirstTransferTag + transfer.tag;
  const Bytes bytes = Bytes::bytes(static_cast<std::int64_t>(buffer.size()));
  if (op.kind == OpKind::send) {
    running.message = transport_.send(peer, tag, buffer);
    traffic_.sent += bytes;
    traffic_.sent_by_kind[static_cast<std::size_t>(OpKind::send)] += bytes;
  } else {
    running.message = transport_.receive(peer, tag, buffer);
    traffic_.received += bytes;
  }
}

void Executor::begin_collective(Running& running, const Op& op) {
  const Group& group = group_of(plan_, rank_, op);
  running.collective.emplace(transport_, state_ops_.adder_of(op), group,
                             shape_of(op, group.members.size()), collective_of(op),
                             collective_tag(program_.lanes[op.lane.index()].kind),
                             state_ops_.memory_of(op));
}

// Whether all of the op is queued, and its messages are done.
bool Executor::advance(Running& running) {
  running.moved = false;
  const Op& op = program_.ops[running.op.index()];
  switch (op.kind) {
    case OpKind::send:
    case OpKind::receive:
      return transport_.test(*running.message);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast: {
      const bool done = running.collective->advance();
      running.moved = running.collective->moved();
      return done;
    }
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return launch_next(running);
    case OpKind::load_batch:
      load(op);
      return true;
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      state_ops_.run(op, step_);
      return true;
  }
  REHEARSE_UNREACHABLE("op kind");
}

// One kernel at a time, or one recording: messages are looked after in between.
bool Executor::launch_next(Running& running) {
  const std::size_t launches = compute_.launches(running.op).size();
  if (running.launched < launches) {
    running.launched = recorder_.run(running.op, running.launched);
    running.moved = true;
  }
  return running.launched == launches;
}

void Executor::note_loss(const LossAt& at) {
  const std::int64_t labels = plan_.micro_batch_samples * labels_per_sample(net_);
  const std::vector<double> values = backend_.load_statistics(at.memory, labels * at.terms);
  double sum = 0;
  for (auto value = values.begin(); value != values.end(); value += at.terms)
    sum += at.terms == 1 ? *value : loss_of_terms({value, static_cast<std::size_t>(at.terms)}).loss;
  losses_[at.micro_batch.index()] = sum / static_cast<double>(labels);
}

void Executor::load(const Op& op) {
  const std::int64_t micro_batch = global_micro_batch(plan_, rank_, compute_of(op).micro_batch);
  for (const Operand& operand : op.operands) {
    const ValueId value = *program_.buffers[operand.buffer.index()].value;
    const Mirror& mirror = mirror_of(operand.buffer);
    if (value == net_.input) {
      batches_.load_input(step_, micro_batch, mirror.on_host());
    } else {
      batches_.load_labels(step_, micro_batch, mirror.on_host());
    }
    mirror.upload();
  }
}

const Mirror& Executor::mirror_of(BufferId buffer) {
  const auto known = mirrors_.find(buffer);
  if (known != mirrors_.end()) return known->second;
  return mirrors_.emplace(buffer, Mirror::of_device(device_, arena_.at(buffer))).first->second;
}

// Marks the end of an op all of whose work stands in its queue. Others may have its memory behind
// that.
void Executor::put_behind(Running& running) {
  const Op& op = program_.ops[running.op.index()];
  if (!is_read(running.op)) free_operands(op);
  running.end = device_.mark();
}

void Executor::free_operands(const Op& op) {
  for (const Operand& operand : op.operands) {
    if (operand.frees) arena_.free(operand.buffer);
  }
}

void Executor::finish(Lane& lane) {
  const Running& running = *lane.running;
  const Op& op = program_.ops[running.op.index()];
  note_results(running);
  if (is_read(running.op)) {
    free_operands(op);
    if (options_.poison) device_.wait();  // whoever has the memory next may stand in another queue
  }
  if (running.collective) count(op, *running.collective);
  const std::size_t first_span = spans_.size() - program_.ops.size();
  Time start = running.issue;
  for (const OpId before : op.after)
    start = std::max(start, spans_[first_span + before.index()].end);
  spans_[first_span + running.op.index()] = {rank_, running.op, step_, start, start, now()};
  ended_[running.op.index()] = true;
  ++ended_count_;
  ++lane.next;
  lane.running.reset();
}

// Numbers that the host reads, now that they are there.
void Executor::note_results(const Running& running) {
  const Op& op = program_.ops[running.op.index()];
  if (op.kind == OpKind::sum_squares || is_of_squares(program_, op)) state_ops_.note_norm(op);
  const std::string complaint = is_pass(op.kind) ? finite_check_.complaint(running.op) : "";
  if (!complaint.empty()) transport_.abort(fmt::format("step {}: {}", step_ + 1, complaint));
  if (const LossAt& losses = compute_.losses(running.op); losses.memory != nullptr)
    note_loss(losses);
}

void Executor::count(const Op& op, const CollectiveRun& collective) {
  const RankBinding& binding = plan_.ranks[rank_.index()];
  traffic_.sent += collective.sent();
  traffic_.received += collective.received();
  traffic_.sent_by_kind[static_cast<std::size_t>(op.kind)] += collective.sent();
  traffic_.sent_by_group[binding.groups[collective_of(op).group].index()] += collective.sent();
}

void Executor::wait(std::int64_t& idle_since) {
  const std::int64_t now = now_ns();
  if (idle_since == 0) idle_since = now;
  if (static_cast<double>(now - idle_since) * 1e-9 > options_.hang.seconds())
    transport_.abort(describe_wait());
  // What a device does takes no core of this machine: there is little to gain by a longer nap.
  if (waits_for_device_) {
    std::this_thread::yield();
  } else {
    transport_.idle();
  }
}

// "rank 3 made no progress for 300 s: it waits in op 17 (receive, tag 4)"
std::string Executor::describe_wait() const {
  std::string text = fmt::format("rank {} made no progress for {} s in step {}: it waits in",
                                 rank_.value(), options_.hang.seconds(), step_);
  for (const Lane& lane : lanes_) {
    if (lane.running) text += " " + describe_op(program_, lane.running->op);
  }
  return text;
}

}  // namespace rehearse::exec
