// Distinct integer ids that do not mix: a RankId cannot be passed where an OpId is expected.
//
// An id is an index into the vector that owns the objects (plan.ranks[rank.index()]), so it is
// never negative; absence is std::optional, never a reserved value.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace rehearse {

template <class Tag>
class Id {
 public:
  constexpr Id() = default;
  template <std::integral Integer>
  constexpr explicit Id(Integer value) : value_(static_cast<std::uint32_t>(value)) {}

  constexpr std::size_t index() const { return value_; }
  constexpr std::uint32_t value() const { return value_; }

  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  std::uint32_t value_ = 0;
};

// One rank is one device running one rank program.
using RankId = Id<struct RankTag>;
// Ranks that run the same program up to renaming of peers and groups.
using RankClassId = Id<struct RankClassTag>;
using StageId = Id<struct StageTag>;
using MicroBatchId = Id<struct MicroBatchTag>;

// The network being trained.
using BlockId = Id<struct BlockTag>;
using SegmentId = Id<struct SegmentTag>;
using LayerId = Id<struct LayerTag>;
using ValueId = Id<struct ValueTag>;
using ParameterId = Id<struct ParameterTag>;
using UnitId = Id<struct UnitTag>;

// The plan.
using OpId = Id<struct OpTag>;
using BufferId = Id<struct BufferTag>;
using LaneId = Id<struct LaneTag>;
using GroupId = Id<struct GroupTag>;
using ParameterClassId = Id<struct ParameterClassTag>;
using PairId = Id<struct PairTag>;

// The machine.
using DeviceId = Id<struct DeviceTag>;
using NodeId = Id<struct NodeTag>;
using VertexId = Id<struct VertexTag>;
using LinkId = Id<struct LinkTag>;

}  // namespace rehearse

template <class Tag>
struct std::hash<rehearse::Id<Tag>> {
  std::size_t operator()(rehearse::Id<Tag> id) const noexcept { return id.value(); }
};
