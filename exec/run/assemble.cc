#include "exec/run/assemble.h"

#include <cstring>
#include <map>

#include "exec/run/tags.h"
#include "exec/run/wait.h"
#include "model/base/text.h"

namespace rehearse::exec {
namespace {

struct Owner {
  RankId rank;
  ParameterClassId parameter_class;
};

// Classes are told apart by their first parameter; all holders of a class have it whole.
std::map<ParameterId, Owner> owners_of(const Plan& plan) {
  std::map<ParameterId, Owner> owners;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const auto& classes = program_of(plan, RankId(r)).parameter_classes;
    for (std::size_t c = 0; c < classes.size(); ++c) {
      owners.try_emplace(classes[c].parameters.front(), Owner{RankId(r), ParameterClassId(c)});
    }
  }
  return owners;
}

std::vector<std::byte> copy_class(const ParameterClass& held, ParameterClassId c,
                                  const Parameters& own, std::int64_t element_bytes) {
  const std::byte* begin = own.weights(c);
  return {begin, begin + held.elements * element_bytes};
}

// The owner's flat buffer, on every rank.
std::vector<std::byte> share(const Plan& plan, const Owner& owner, const Parameters& own,
                             std::int64_t element_bytes, Transport& transport) {
  const ParameterClass& held =
      program_of(plan, owner.rank).parameter_classes[owner.parameter_class.index()];
  if (transport.rank() == owner.rank) {
    std::vector<std::byte> flat = copy_class(held, owner.parameter_class, own, element_bytes);
    for (std::size_t r = 0; r < transport.size(); ++r) {
      if (RankId(r) != owner.rank)
        wait_for(transport, transport.send(RankId(r), kParameterTag, flat));
    }
    return flat;
  }
  std::vector<std::byte> flat(static_cast<std::size_t>(held.elements * element_bytes));
  wait_for(transport, transport.receive(owner.rank, kParameterTag, flat));
  return flat;
}

}  // namespace

Weights assemble(const Plan& plan, const Net& net, const Parameters& own, Backend& backend,
                 Transport& transport) {
  const std::int64_t element_bytes = backend.sizes().activation_bytes;
  Weights weights(net.parameters.size());
  for (const auto& [first, owner] : owners_of(plan)) {
    const std::vector<std::byte> flat = share(plan, owner, own, element_bytes, transport);
    auto at = flat.begin();
    const auto& classes = program_of(plan, owner.rank).parameter_classes;
    for (const ParameterId id : classes[owner.parameter_class.index()].parameters) {
      const auto end = at + net.parameters[id.index()].shape.elements() * element_bytes;
      weights[id.index()].assign(at, end);
      at = end;
    }
  }
  return weights;
}

std::string weight_hashes(const RankProgram& program, const Parameters& own,
                          const StateSizes& sizes) {
  std::string lines;
  for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
    const ParameterClass& held = program.parameter_classes[c];
    const std::vector<std::byte> flat = copy_class(held, ParameterClassId(c), own, sizes.parameter);
    const std::string_view text(reinterpret_cast<const char*>(flat.data()), flat.size());
    lines += fmt::format("{} {}\n", held.parameters.front().value(), hash_text(text));
  }
  return lines;
}

}  // namespace rehearse::exec
