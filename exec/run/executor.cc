#include "exec/run/executor.h"

#include <time.h>

#include <algorithm>
#include <numeric>

#include "exec/run/tags.h"
#include "model/base/check.h"
#include "model/plan/verify.h"

namespace rehearse::exec {

// An issued op and how far it has come.
struct Executor::Running {
  OpId op;
  Time issue;
  std::optional<Request> message;
  std::optional<AllReduce> all_reduce;
  std::size_t launched = 0;
  bool moved = false;  // since it was last polled
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
    : plan_(plan),
      program_(program_of(plan, transport.rank())),
      rank_(transport.rank()),
      net_(net_of(plan, net, program_)),
      backend_(backend),
      transport_(transport),
      batches_(batches),
      options_(options),
      origin_ns_(origin_ns),
      sizes_(state_sizes(plan.training)),
      arena_(program_, options.poison),
      parameters_(plan, program_, net_, arena_),
      compute_(plan, rank_, net_, backend, arena_, parameters_),
      lanes_(program_.lanes.size()) {
  for (std::size_t op = 0; op < program_.ops.size(); ++op) {
    lanes_[program_.ops[op].lane.index()].ops.push_back(OpId(op));
  }
  traffic_.sent_by_group.resize(plan.groups.size());
  parameters_.initialize(backend, plan.training.seed);
}

Executor::~Executor() = default;

double Executor::run_step(std::int64_t step) {
  step_ = step;
  loss_ = 0;
  ended_.assign(program_.ops.size(), false);
  ended_count_ = 0;
  for (Lane& lane : lanes_)
    lane.next = 0;
  spans_.resize(spans_.size() + program_.ops.size());
  std::int64_t idle_since = 0;
  while (ended_count_ < program_.ops.size()) {
    bool moved = false;
    for (Lane& lane : lanes_)
      moved = poll(lane) || moved;
    if (moved) {
      transport_.reset_idle();
      idle_since = 0;
    } else {
      wait(idle_since);
    }
  }
  return loss_;
}

// Issues, advances or ends the lane's op; whether anything happened.
bool Executor::poll(Lane& lane) {
  if (lane.next == lane.ops.size()) return false;
  const OpId id = lane.ops[lane.next];
  if (!lane.running) {
    if (!is_ready(program_.ops[id.index()])) return false;
    issue(lane, id);
  }
  if (!advance(*lane.running)) return lane.running->moved;
  finish(lane);
  return true;
}

bool Executor::is_ready(const Op& op) const {
  return std::all_of(op.after.begin(), op.after.end(),
                     [&](OpId before) { return ended_[before.index()]; });
}

void Executor::issue(Lane& lane, OpId id) {
  const Op& op = program_.ops[id.index()];
  lane.running = std::make_unique<Running>();
  lane.running->op = id;
  lane.running->issue = now();
  for (const Operand& operand : op.operands) {
    if (operand.allocates) arena_.allocate(operand.buffer);
  }
  if (op.kind == OpKind::send || op.kind == OpKind::receive) begin_transfer(*lane.running, op);
  if (op.kind == OpKind::all_reduce) begin_all_reduce(*lane.running, op);
}

void Executor::begin_transfer(Running& running, const Op& op) {
  const Transfer& transfer = transfer_of(op);
  const RankId peer = plan_.ranks[rank_.index()].peers[transfer.peer];
  const std::span<std::byte> buffer = arena_.at(op.operands.front().buffer);
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

void Executor::begin_all_reduce(Running& running, const Op& op) {
  const Collective& collective = collective_of(op);
  const auto bytes =
      static_cast<std::size_t>((collective.end - collective.begin) * sizes_.gradient);
  std::span<std::byte> room;
  for (const Operand& operand : op.operands) {
    const bool is_room = program_.buffers[operand.buffer.index()].kind == BufferKind::communication;
    if (is_room) room = arena_.at(operand.buffer);
  }
  running.all_reduce.emplace(
      transport_, backend_, group_of(plan_, rank_, op), collective, sizes_.gradient,
      std::span(parameters_.gradients(collective.parameter_class, collective.begin), bytes), room);
}

// Whether the op is finished.
bool Executor::advance(Running& running) {
  running.moved = false;
  const Op& op = program_.ops[running.op.index()];
  switch (op.kind) {
    case OpKind::send:
    case OpKind::receive:
      return transport_.test(*running.message);
    case OpKind::all_reduce: {
      const bool done = running.all_reduce->advance();
      running.moved = running.all_reduce->moved();
      return done;
    }
    case OpKind::forward:
    case OpKind::backward:
      return advance_compute(running);
    case OpKind::load_batch:
      load(op);
      return true;
    case OpKind::optimizer_step:
      update(op);
      return true;
  }
  REHEARSE_UNREACHABLE("op kind");
}

// One kernel at a time, so that messages are looked after in between.
bool Executor::advance_compute(Running& running) {
  const std::vector<Launch>& launches = compute_.launches(running.op);
  if (running.launched < launches.size()) {
    const Launch& launch = launches[running.launched++];
    launch.kernel->run(launch.arguments);
    running.moved = true;
  }
  if (running.launched < launches.size()) return false;
  if (const void* losses = compute_.losses(running.op); losses != nullptr) add_losses(losses);
  return true;
}

void Executor::add_losses(const void* losses) {
  const std::int64_t labels = plan_.micro_batch_samples * labels_per_sample(net_);
  const std::vector<double> values = backend_.load(losses, labels);
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  loss_ += sum / static_cast<double>(labels * program_.micro_batches);
}

void Executor::load(const Op& op) {
  const std::int64_t micro_batch = global_micro_batch(plan_, rank_, compute_of(op).micro_batch);
  for (const Operand& operand : op.operands) {
    const ValueId value = *program_.buffers[operand.buffer.index()].value;
    void* into = arena_.at(operand.buffer).data();
    if (value == net_.input) {
      batches_.load_input(step_, micro_batch, into);
    } else {
      batches_.load_labels(step_, micro_batch, into);
    }
  }
}

// Neighbouring parameters that decay alike are one call.
void Executor::update(const Op& op) {
  const ParameterClassId c = optimize_of(op).parameter_class;
  const auto& parameters = program_.parameter_classes[c.index()].parameters;
  std::int64_t begin = 0, end = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const Parameter& parameter = net_.parameters[parameters[p].index()];
    end += parameter.shape.elements();
    const bool more = p + 1 < parameters.size() &&
                      net_.parameters[parameters[p + 1].index()].decays == parameter.decays;
    if (more) continue;
    backend_.step(plan_.training.optimizer, parameters_.weights(c, begin),
                  parameters_.gradients(c, begin), parameters_.optimizer_state(c, begin),
                  end - begin, parameter.decays);
    begin = end;
  }
}

void Executor::finish(Lane& lane) {
  const Running& running = *lane.running;
  const Op& op = program_.ops[running.op.index()];
  for (const Operand& operand : op.operands) {
    if (operand.frees) arena_.free(operand.buffer);
  }
  if (running.all_reduce) count(op, *running.all_reduce);
  spans_[spans_.size() - program_.ops.size() + running.op.index()] = {
      rank_, running.op, step_, running.issue, running.issue, now()};
  ended_[running.op.index()] = true;
  ++ended_count_;
  ++lane.next;
  lane.running.reset();
}

void Executor::count(const Op& op, const AllReduce& all_reduce) {
  const RankBinding& binding = plan_.ranks[rank_.index()];
  const auto slot = program_.parameter_classes[collective_of(op).parameter_class.index()].group;
  traffic_.sent += all_reduce.sent();
  traffic_.received += all_reduce.received();
  traffic_.sent_by_kind[static_cast<std::size_t>(OpKind::all_reduce)] += all_reduce.sent();
  traffic_.sent_by_group[binding.groups[*slot].index()] += all_reduce.sent();
}

void Executor::wait(std::int64_t& idle_since) {
  const std::int64_t now = now_ns();
  if (idle_since == 0) idle_since = now;
  if (static_cast<double>(now - idle_since) * 1e-9 > options_.hang.seconds())
    transport_.abort(describe_wait());
  transport_.idle();
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
