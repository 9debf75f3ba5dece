#include "exec/run/assemble.h"

#include <cstring>
#include <map>

#include "exec/run/tags.h"
#include "exec/run/wait.h"
#include "model/base/text.h"
#include "model/net/tensor.h"

namespace rehearse::exec {
namespace {

struct Owner {
  RankId rank;
  ParameterClassId parameter_class;
};

// Classes are told apart by their first parameter, and by whose slice they are; all holders of a
// class have it whole, and so has the rank where it is parked.
std::map<std::pair<ParameterId, std::int64_t>, Owner> owners_of(const Plan& plan) {
  std::map<std::pair<ParameterId, std::int64_t>, Owner> owners;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const auto& classes = program_of(plan, RankId(r)).parameter_classes;
    for (std::size_t c = 0; c < classes.size(); ++c) {
      if (!classes[c].is_held && !is_parked(classes[c])) continue;
      owners.try_emplace({classes[c].parameters.front(), plan.ranks[r].slice},
                         Owner{RankId(r), ParameterClassId(c)});
    }
  }
  return owners;
}

// This rank's, wherever it lies.
std::vector<std::byte> copy_of(KernelDevice& device, const std::byte* begin, std::int64_t bytes) {
  return read(device, {begin, static_cast<std::size_t>(bytes)});
}

// One rank's bytes, on every rank.
std::vector<std::byte> share(RankId owner, const std::byte* own, std::int64_t bytes,
                             KernelDevice& device, Transport& transport) {
  if (transport.rank() == owner) {
    std::vector<std::byte> flat = copy_of(device, own, bytes);
    for (std::size_t r = 0; r < transport.size(); ++r) {
      if (RankId(r) != owner) wait_for(transport, transport.send(RankId(r), kParameterTag, flat));
    }
    return flat;
  }
  std::vector<std::byte> flat(static_cast<std::size_t>(bytes));
  wait_for(transport, transport.receive(owner, kParameterTag, flat));
  return flat;
}

// Where a class's weights, or its gradients, lie on a rank.
struct Content {
  bool gradients;

  const std::byte* flat(const Parameters& own, ParameterClassId c) const {
    return gradients ? own.flat_gradients(c) : own.flat_weights(c);
  }
  // Each holder has its share of the buckets right: of gradients, wherever their sums are
  // scattered.
  bool is_shared_out(const ParameterClass& held) const {
    return held.sharding >= (gradients ? Sharding::optimizer_state : Sharding::parameters);
  }
  // ... and has room for no more than that.
  bool is_shard(const ParameterClass& held) const {
    return held.sharding >= (gradients ? Sharding::gradients : Sharding::parameters);
  }
};

// This rank's buffer of the class that begins with a parameter; null if it holds none.
const std::byte* own_flat(const Plan& plan, RankId rank, ParameterId first, const Parameters& own,
                          const Content& content) {
  const auto& classes = program_of(plan, rank).parameter_classes;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (classes[c].parameters.front() == first) return content.flat(own, ParameterClassId(c));
  }
  return nullptr;
}

// All of a class, put together from the shares of its holders.
std::vector<std::byte> join_shares(const ParameterClass& held, const Content& content,
                                   const Group& group, const std::byte* own,
                                   std::int64_t element_bytes, KernelDevice& device,
                                   Transport& transport) {
  std::vector<std::byte> flat(static_cast<std::size_t>(held.elements * element_bytes));
  const bool is_shard = content.is_shard(held);
  const std::int64_t elements = is_shard ? shard_elements(held) : held.elements;
  for (std::size_t m = 0; m < group.members.size(); ++m) {
    const std::vector<std::byte> part =
        share(group.members[m], own, elements * element_bytes, device, transport);
    std::int64_t begin = 0;
    for (const std::int64_t end : held.buckets) {
      const ElementRange chunk = chunk_of(begin, end, group.members.size(), m);
      const std::int64_t from = is_shard ? shard_offset(held, begin) : chunk.begin;
      std::memcpy(flat.data() + chunk.begin * element_bytes, part.data() + from * element_bytes,
                  static_cast<std::size_t>(chunk.size() * element_bytes));
      begin = end;
    }
  }
  return flat;
}

// The parameters of one class, one after the other, into the whole model's.
void place(const ParameterClass& held, const Net& net, std::int64_t element_bytes,
           const std::vector<std::byte>& flat, Weights& weights) {
  const std::byte* at = flat.data();
  for (const ParameterId id : held.parameters) {
    const Parameter& parameter = net.parameters[id.index()];
    const std::byte* end = at + parameter.shape.elements() * element_bytes;
    std::vector<std::byte>& whole = weights[id.index()];
    if (parameter.spread == Spread::sliced) {
      whole.resize(static_cast<std::size_t>(parameter.slice->whole.elements() * element_bytes));
      for (const ParameterSlice::Run& run : parameter.slice->runs())
        std::memcpy(whole.data() + run.whole * element_bytes, at + run.part * element_bytes,
                    static_cast<std::size_t>(run.elements * element_bytes));
    } else {
      whole.assign(at, end);
    }
    at = end;
  }
}

Weights assemble(const Plan& plan, const Net& net, const Parameters& own, const Content& content,
                 Backend& backend, Transport& transport) {
  const std::int64_t element_bytes = backend.sizes().activation_bytes;
  Weights weights(net.parameters.size());
  for (const auto& [first, owner] : owners_of(plan)) {
    const ParameterClass& held =
        program_of(plan, owner.rank).parameter_classes[owner.parameter_class.index()];
    const Net sliced = slice_of(net, first.second);
    // Nobody has gradients of what is parked.
    if (content.gradients && is_parked(held)) {
      const auto bytes = static_cast<std::size_t>(held.elements * element_bytes);
      place(held, sliced, element_bytes, std::vector<std::byte>(bytes), weights);
      continue;
    }
    const bool is_mine = plan.ranks[transport.rank().index()].slice == first.second;
    const std::byte* mine = is_mine || content.is_shared_out(held)
                                ? own_flat(plan, transport.rank(), first.first, own, content)
                                : nullptr;
    place(held, sliced, element_bytes,
          content.is_shared_out(held)
              ? join_shares(held, content, group_at(plan, owner.rank, *held.group), mine,
                            element_bytes, own.device(), transport)
              : share(owner.rank, mine, held.elements * element_bytes, own.device(), transport),
          weights);
  }
  return weights;
}

}  // namespace

Weights assemble(const Plan& plan, const Net& net, const Parameters& own, Backend& backend,
                 Transport& transport) {
  return assemble(plan, net, own, Content{.gradients = false}, backend, transport);
}

Weights assemble_gradients(const Plan& plan, const Net& net, const Parameters& own,
                           Backend& backend, Transport& transport) {
  return assemble(plan, net, own, Content{.gradients = true}, backend, transport);
}

namespace {

// The weights of a class that all tensor-parallel ranks hold alike.
std::string alike_in(const ParameterClass& held, const Net& net, std::int64_t element_bytes,
                     std::string_view weights) {
  std::string alike;
  for (const ParameterId id : held.parameters) {
    const Parameter& parameter = net.parameters[id.index()];
    const auto bytes = static_cast<std::size_t>(parameter.shape.elements() * element_bytes);
    if (parameter.spread != Spread::sliced) alike += weights.substr(0, bytes);
    weights.remove_prefix(bytes);
  }
  return alike;
}

}  // namespace

std::string class_hashes(const Plan& plan, const Net& net, RankId rank, const Parameters& own) {
  std::string lines;
  const RankProgram& program = program_of(plan, rank);
  const bool is_sliced = plan.mesh.tensor > 1;
  const std::int64_t element_bytes = state_sizes(plan.training).parameter;
  for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
    const ParameterClass& held = program.parameter_classes[c];
    const bool sharded = held.sharding == Sharding::parameters;
    const std::int64_t elements = sharded ? shard_elements(held) : held.elements;
    const Mirror weights =
        Mirror::of_device(own.device(), {own.flat_weights(ParameterClassId(c)),
                                         static_cast<std::size_t>(elements * element_bytes)});
    weights.download();
    const std::string_view text(reinterpret_cast<const char*>(weights.on_host()),
                                weights.host_bytes().size());
    std::string name = std::to_string(held.parameters.front().value());
    // Between synchronisations every holder has weights of its own.
    const bool is_own = held.group && !copies_agree(plan);
    if (sharded || is_own)
      name += fmt::format("/{}", member_number(group_at(plan, rank, *held.group), rank));
    if (is_sliced) name += fmt::format(":{}", plan.ranks[rank.index()].slice);
    lines += fmt::format("{} {}\n", name, hash_text(text));
    if (!is_sliced || sharded || is_own) continue;
    lines += fmt::format("{}= {}\n", held.parameters.front().value(),
                         hash_text(alike_in(held, net, element_bytes, text)));
  }
  return lines;
}

}  // namespace rehearse::exec
