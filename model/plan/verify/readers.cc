#include <algorithm>
#include <map>

#include "model/plan/verify/report.h"

namespace rehearse::verifier {
namespace {

// Where subnetworks run the whole network (Masking::backward), whoever reads a class that it does
// not hold gets the new weights from all who hold it.
class Readers {
 public:
  Readers(Report& report, const Net& net) : report_(report), plan_(report.plan), net_(net) {}

  void run() {
    for (std::size_t p = 0; p < plan_.programs.size(); ++p)
      check_held(p);
    if (!report_.ok()) return;
    for (std::size_t r = 0; r < plan_.ranks.size(); ++r)
      collect(RankId(r));
    for (const auto& [key, ranks] : classes_)
      check(key.first, ranks);
  }

 private:
  // Classes are told apart by their first parameter, and by the slice where there are several.
  using Key = std::pair<ParameterId, std::int64_t>;
  struct Reader {
    RankId rank;
    const ParameterClass* parameter_class;
  };

  // A rank holds the classes of its units, and those of no unit; or all, where it may run any.
  void check_held(std::size_t p) {
    if (plan_.survival) return;
    const RankProgram& program = plan_.programs[p];
    for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
      for (const ParameterId id : program.parameter_classes[c].parameters) {
        const Parameter& parameter = net_.parameters[id.index()];
        const bool is_held = !parameter.unit || program.subnetwork.holds[parameter.unit->index()];
        if (is_held == program.parameter_classes[c].is_held) continue;
        return report_.add_program(
            p, fmt::format("class {} is {}, but its parameter {} is of a unit that is {}held", c,
                           !is_held                               ? "held"
                           : program.parameter_classes[c].readers ? "only read"
                                                                  : "parked",
                           parameter.name, is_held ? "" : "not "));
      }
    }
  }

  void collect(RankId rank) {
    for (const ParameterClass& own : program_of(plan_, rank).parameter_classes) {
      if (own.parameters.empty() || is_parked(own)) continue;
      const ParameterId first = own.parameters.front();
      const bool is_partial = net_.parameters[first.index()].spread == Spread::partial;
      classes_[{first, is_partial ? 0 : plan_.ranks[rank.index()].slice}].push_back({rank, &own});
    }
  }

  void check(ParameterId first, const std::vector<Reader>& ranks) {
    const auto only_reads = [](const Reader& it) { return !it.parameter_class->is_held; };
    const auto reader = std::find_if(ranks.begin(), ranks.end(), only_reads);
    const auto holders = ranks.size() - static_cast<std::size_t>(
                                            std::count_if(ranks.begin(), ranks.end(), only_reads));
    const auto group = group_of_readers(ranks.front());
    for (const Reader& it : ranks) {
      if ((reader != ranks.end()) == group.has_value() && group_of_readers(it) == group) continue;
      return report_.add_rank(
          it.rank.index(),
          fmt::format("parameter {} is read by ranks that do not hold it, or by none of them: they "
                      "and its holders are one group of readers, or have none",
                      first.value()));
    }
    if (!group) return;
    const auto& members = plan_.groups[group->index()].members;
    if (members.size() != ranks.size())
      return report_.add_rank(ranks.front().rank.index(),
                              fmt::format("parameter {} is broadcast to {} ranks, and read by {}",
                                          first.value(), members.size(), ranks.size()));
    for (const Reader& it : ranks) {
      const auto place = std::find(members.begin(), members.end(), it.rank) - members.begin();
      const bool is_source = static_cast<std::size_t>(place) < holders;
      const bool counts =
          it.parameter_class->holders == static_cast<std::int64_t>(holders) && holders > 0;
      if (is_source == it.parameter_class->is_held && counts) continue;
      return report_.add_rank(
          it.rank.index(),
          fmt::format("parameter {} is held by {} ranks, which its readers do not begin with",
                      first.value(), holders));
    }
  }

  std::optional<GroupId> group_of_readers(const Reader& reader) const {
    const auto slot = reader.parameter_class->readers;
    if (!slot) return std::nullopt;
    return plan_.ranks[reader.rank.index()].groups[*slot];
  }

  Report& report_;
  const Plan& plan_;
  const Net& net_;
  std::map<Key, std::vector<Reader>> classes_;
};

}  // namespace

void check_readers(Report& report, const Net& net) {
  Readers(report, net).run();
}

}  // namespace rehearse::verifier
