#include "tools/chakra/chakra.h"

#include <fmt/format.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>
#include <tuple>

#include "model/base/text.h"
#include "model/plan/op_work.h"
#include "model/plan/plan_text.h"
#include "tools/chakra/et_def.pb.h"
#include "tools/cli/cli.h"

namespace rehearse {
namespace {

namespace et = chakra::proto;

// What its converters write today; readers do not look.
constexpr const char* kVersion = "0.0.4";

// ---- attributes, in the types that the feeders read -----------------------------------------

template <class Message>
et::AttributeProto& attribute(Message& message, const char* name) {
  et::AttributeProto& attribute = *message.add_attr();
  attribute.set_name(name);
  return attribute;
}

void set_compute(et::Node& node, const StepWork& work) {
  node.set_type(et::COMP_NODE);
  attribute(node, "num_ops").set_int64_val(std::llround(work.flops.flops()));
  attribute(node, "tensor_size").set_uint64_val(static_cast<std::uint64_t>(work.traffic.bytes()));
}

void set_load(et::Node& node, Bytes loaded) {
  node.set_type(et::MEM_LOAD_NODE);
  attribute(node, "tensor_size").set_uint64_val(static_cast<std::uint64_t>(loaded.bytes()));
}

void set_message(et::Node& node, et::NodeType type, RankId source, RankId destination,
                 const Transfer& transfer) {
  node.set_type(type);
  attribute(node, "comm_src").set_int32_val(static_cast<std::int32_t>(source.value()));
  attribute(node, "comm_dst").set_int32_val(static_cast<std::int32_t>(destination.value()));
  attribute(node, "comm_tag").set_int32_val(static_cast<std::int32_t>(transfer.tag));
  attribute(node, "comm_size").set_int64_val(transfer.bytes.bytes());
}

std::string group_name(std::size_t group) {
  return std::to_string(group + 1);
}

void set_collective(et::Node& node, et::CollectiveCommType type, const Plan& plan,
                    const Group& group, Bytes given) {
  node.set_type(et::COMM_COLL_NODE);
  attribute(node, "comm_type").set_int64_val(type);
  attribute(node, "comm_size").set_int64_val(given.bytes());
  attribute(node, "comm_priority").set_int32_val(0);
  const auto number = static_cast<std::size_t>(&group - plan.groups.data());
  attribute(node, "pg_name").set_string_val(group_name(number));
  et::Int32List& ranks = *attribute(node, "involved_ranks").mutable_int32_list();
  for (const RankId member : group.members)
    ranks.add_values(static_cast<std::int32_t>(member.value()));
}

// ---- one rank --------------------------------------------------------------------------------

class Trace {
 public:
  Trace(const Plan& plan, const std::string& hash, RankId rank, const Prices* prices)
      : plan_(plan),
        hash_(hash),
        rank_(rank),
        binding_(plan.ranks[rank.index()]),
        program_(program_of(plan, rank)),
        prices_(prices == nullptr ? nullptr : &prices->ops[binding_.program.index()]) {}

  std::string run() {
    write(metadata());
    for (std::size_t op = 0; op < program_.ops.size(); ++op)
      write(node(OpId(op)));
    return stream_.str();
  }

 private:
  void write(const google::protobuf::Message& message) {
    const bool done = google::protobuf::util::SerializeDelimitedToOstream(message, &stream_);
    REHEARSE_CHECK(done, "a message of {} bytes cannot be written", message.ByteSizeLong());
  }

  et::GlobalMetadata metadata() const {
    et::GlobalMetadata metadata;
    metadata.set_version(kVersion);
    attribute(metadata, "strategy").set_string_val(plan_.strategy);
    attribute(metadata, "plan_hash").set_string_val(hash_);
    attribute(metadata, "rank").set_int32_val(static_cast<std::int32_t>(rank_.value()));
    return metadata;
  }

  et::Node node(OpId id) {
    const Op& op = program_.ops[id.index()];
    et::Node node;
    node.set_id(id.value());
    node.set_name(fmt::format("{} %{}", to_string(op.kind), id.value()));
    connect(node, id, op);
    if (prices_ != nullptr && !is_communication(op.kind)) {
      const double seconds = (*prices_)[id.index()].seconds.seconds();
      node.set_duration_micros(static_cast<std::uint64_t>(std::llround(seconds * 1e6)));
    }
    attribute(node, "is_cpu_op").set_bool_val(false);
    describe(node, op);
    return node;
  }

  void connect(et::Node& node, OpId id, const Op& op) {
    std::vector<OpId> before = op.after;
    const auto [last, is_first] = last_on_lane_.try_emplace(op.lane, id);
    if (!is_first) {
      node.add_ctrl_deps(last->second.value());
      before.push_back(last->second);
      last->second = id;
    }
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    for (const OpId dependency : before)
      node.add_data_deps(dependency.value());
  }

  void describe(et::Node& node, const Op& op) {
    switch (op.kind) {
      case OpKind::load_batch:
        return set_load(node, loaded(op));
      case OpKind::forward:
      case OpKind::backward:
      case OpKind::backward_input:
      case OpKind::backward_weight:
      case OpKind::recompute:
        return set_compute(node, pass_work(compute_of(op), pass_of(program_, op)));
      case OpKind::accumulate:
        return set_compute(node, accumulate_work(plan_.training, op));
      case OpKind::clear:
        return set_compute(node, clear_work(plan_.training, op));
      case OpKind::sum_squares:
        return set_compute(node, squares_work(plan_.training, elements_squared(plan_, program_)));
      case OpKind::optimizer_step:
        return set_compute(node, optimizer_work(plan_.training, elements_updated(program_, op)));
      case OpKind::outer_gradient:
        return set_compute(
            node, outer_gradient_work(plan_.training, plan_.outer, elements_updated(program_, op)));
      case OpKind::outer_step:
        return set_compute(
            node, outer_step_work(plan_.training, plan_.outer, elements_updated(program_, op)));
      case OpKind::send:
        return set_message(node, et::COMM_SEND_NODE, rank_, peer(op), transfer_of(op));
      case OpKind::receive:
        return set_message(node, et::COMM_RECV_NODE, peer(op), rank_, transfer_of(op));
      case OpKind::all_reduce:
        return set_collective(node, et::ALL_REDUCE, plan_, group_of(plan_, rank_, op),
                              range_of(collective_of(op)));
      case OpKind::reduce_scatter:
        return set_collective(node, et::REDUCE_SCATTER, plan_, group_of(plan_, rank_, op),
                              range_of(collective_of(op)));
      case OpKind::all_gather:
        return set_collective(node, et::ALL_GATHER, plan_, group_of(plan_, rank_, op),
                              shard_of(op));
      case OpKind::broadcast:
        return set_collective(node, et::BROADCAST, plan_, group_of(plan_, rank_, op),
                              range_of(collective_of(op)));
    }
    REHEARSE_UNREACHABLE("op kind");
  }

  RankId peer(const Op& op) const { return binding_.peers[transfer_of(op).peer]; }

  Bytes loaded(const Op& op) const {
    Bytes bytes;
    for (const Operand& operand : op.operands)
      bytes += program_.buffers[operand.buffer.index()].size;
    return bytes;
  }

  // What a collective works on. ASTRA-sim's rings count what a member gives: all of the range for
  // an all-reduce and a reduce-scatter, its own part of it for an all-gather.
  Bytes range_of(const Collective& collective) const {
    return Bytes::bytes((collective.end - collective.begin) * collective.element_bytes);
  }

  Bytes shard_of(const Op& op) const {
    const Collective& it = collective_of(op);
    const Group& group = group_of(plan_, rank_, op);
    const ElementRange own =
        chunk_of(it.begin, it.end, group.members.size(), member_number(group, rank_));
    return Bytes::bytes(own.size() * it.element_bytes);
  }

  // Lowered once per range: the micro-batches of a stage differ in nothing.
  StepWork pass_work(const Compute& compute, Pass pass) {
    const auto [known, is_new] = work_.try_emplace({compute.begin, compute.end, pass});
    if (!is_new) return known->second;
    if (!net_) net_ = trained_net();
    const ElementSizes sizes = element_sizes(plan_.training);
    const std::int64_t samples = plan_.micro_batch_samples;
    const Lowering lowering = lower(*net_, compute.begin, compute.end, pass, samples, sizes);
    for (const KernelStep& step : lowering.steps) {
      const StepWork work = work_of(*net_, step, samples, sizes);
      known->second.flops += work.flops;
      known->second.traffic += work.traffic;
    }
    return known->second;
  }

  Net trained_net() const {
    const Result<Net> full = whole_net(plan_);
    REHEARSE_CHECK(full.ok(), "a plan's model cannot be built: {}", format(full.errors()));
    return net_of(plan_, *full, program_);
  }

  const Plan& plan_;
  const std::string& hash_;
  RankId rank_;
  const RankBinding& binding_;
  const RankProgram& program_;
  const std::vector<OpPrice>* prices_;
  std::map<LaneId, OpId> last_on_lane_;
  std::optional<Net> net_;
  std::map<std::tuple<SegmentId, SegmentId, Pass>, StepWork> work_;
  std::ostringstream stream_;
};

bool has_tag(const Op& op) {
  return std::holds_alternative<Transfer>(op.detail);
}

}  // namespace

std::string chakra_trace(const Plan& plan, RankId rank, const Prices* prices) {
  const Status fits = check_chakra(plan);
  REHEARSE_CHECK(fits.ok(), "{}", format(fits.errors()));
  return Trace(plan, plan_hash(plan), rank, prices).run();
}

Status check_chakra(const Plan& plan) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  for (const RankProgram& program : plan.programs) {
    for (const Op& op : program.ops) {
      if (!has_tag(op) || transfer_of(op).tag <= kMost) continue;
      return error(
          fmt::format("program {}: tag {} does not fit a Chakra trace, which has tags up to {}",
                      program.name, transfer_of(op).tag, kMost));
    }
  }
  return success();
}

std::string chakra_groups(const Plan& plan) {
  std::vector<std::string> groups;
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    std::vector<std::string> members;
    for (const RankId member : plan.groups[group].members)
      members.push_back(std::to_string(member.value()));
    groups.push_back(fmt::format("  \"{}\": [{}]", group_name(group), join(members, ", ")));
  }
  return groups.empty() ? "{}\n" : "{\n" + join(groups, ",\n") + "\n}\n";
}

Status write_chakra(const Plan& plan, const std::string& directory, const Prices* prices) {
  const Status fits = check_chakra(plan);
  if (!fits) return fits;
  const std::string hash = plan_hash(plan);
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const Status written = cli::write_file(fmt::format("{}/rehearse.{}.et", directory, rank),
                                           Trace(plan, hash, RankId(rank), prices).run());
    if (!written) return written;
  }
  std::error_code absent;
  for (std::size_t rank = plan.ranks.size();
       std::filesystem::remove(fmt::format("{}/rehearse.{}.et", directory, rank), absent); ++rank) {
  }
  return cli::write_file(directory + "/rehearse.groups.json", chakra_groups(plan));
}

}  // namespace rehearse
