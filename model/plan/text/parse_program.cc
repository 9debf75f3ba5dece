#include "model/base/check.h"
#include "model/plan/text/parse_pieces.h"

namespace rehearse::plan_text {
namespace {

// "3:6..8"
Stage stage(const Word& word) {
  const std::size_t colon = word.text.find(':');
  if (colon == std::string_view::npos) expected("a stage such as 3:6..8", word);
  const auto [begin, end] = range(tail(word, colon + 1));
  return {id<StageId>(part(word, 0, colon)), id<SegmentId>(begin), id<SegmentId>(end)};
}

struct Elements {
  std::int64_t begin, end;
};
Elements elements(Line& line) {
  const auto [begin, end] = range(line.field("elements"));
  const std::int64_t first = integer(begin);
  return {first, integer(end)};
}

// ---- what ops work on --------------------------------------------------------------------------

Compute compute(Line& line) {
  const auto [begin, end] = range(line.field("segments"));
  return {id<SegmentId>(begin), id<SegmentId>(end), id<MicroBatchId>(line.field("micro_batch"))};
}

Transfer transfer(Line& line) {
  Transfer transfer;
  transfer.peer = static_cast<std::size_t>(integer(line.field("peer")));
  transfer.tag = integer(line.field("tag"));
  transfer.bytes = Bytes::bytes(integer(line.field("bytes")));
  return transfer;
}

Clear clear(Line& line) {
  const auto parameter_class = id<ParameterClassId>(line.field("class"));
  const auto [begin, end] = elements(line);
  return {parameter_class, begin, end};
}

Accumulate accumulate(Line& line) {
  const auto parameter_class = id<ParameterClassId>(line.field("class"));
  const auto [begin, end] = elements(line);
  return {parameter_class, begin, end, integer(line.field("divisor"))};
}

Collective collective(OpKind kind, Line& line) {
  Collective collective;
  collective.group = static_cast<std::size_t>(integer(line.field("group")));
  const Word of = line.field("class");
  if (of.text != "-") collective.parameter_class = id<ParameterClassId>(of);
  const auto [begin, end] = elements(line);
  collective.begin = begin;
  collective.end = end;
  collective.element_bytes = integer(line.field("width"));
  collective.divisor = integer(line.field("divisor"));
  collective.algorithm = named(line.field("algorithm"), "an algorithm", kLastCollectiveAlgorithm);
  if (collective.algorithm == CollectiveAlgorithm::hierarchical)
    collective.node_members = integer(line.field("node_members"));
  if (collective.algorithm == CollectiveAlgorithm::double_tree)
    collective.pieces = integer(line.field("pieces"));
  if (kind == OpKind::broadcast) collective.sources = integer(line.field("sources"));
  return collective;
}

decltype(Op::detail) detail(OpKind kind, Line& line) {
  switch (kind) {
    case OpKind::load_batch:
      return Compute{{}, {}, id<MicroBatchId>(line.field("micro_batch"))};
    case OpKind::forward:
    case OpKind::backward:
    case OpKind::backward_input:
    case OpKind::backward_weight:
    case OpKind::recompute:
      return compute(line);
    case OpKind::send:
    case OpKind::receive:
      return transfer(line);
    case OpKind::clear:
      return clear(line);
    case OpKind::accumulate:
      return accumulate(line);
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
      return collective(kind, line);
    case OpKind::sum_squares:
      return SumSquares{};
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
      return Optimize{id<ParameterClassId>(line.field("class"))};
  }
  REHEARSE_UNREACHABLE("op kind");
}

Operand operand(const Word& word) {
  std::string_view text = word.text;
  Operand operand;
  if (text.ends_with('-')) operand.frees = true, text.remove_suffix(1);
  if (text.ends_with('+')) operand.allocates = true, text.remove_suffix(1);
  constexpr std::string_view kAccess = "rwu";
  const std::size_t access = text.empty() ? std::string_view::npos : kAccess.find(text[0]);
  if (access == std::string_view::npos) expected("an operand such as r3 or w4+", word);
  operand.access = static_cast<Access>(access);
  operand.buffer = id<BufferId>(part(word, 1, text.size() - 1));
  return operand;
}

}  // namespace

RankProgram parse_program(Line line) {
  RankProgram program;
  program.name = line.field("name").text;
  for (const Word& word : items(line.field("stages")))
    program.stages.push_back(stage(word));
  program.micro_batches = integer(line.field("micro_batches"));
  const Word holds = line.field("holds");
  if (holds.text != "-") {
    if (holds.text.find_first_not_of("01") != std::string_view::npos)
      expected("zeros and ones", holds);
    for (const char held : holds.text)
      program.subnetwork.holds.push_back(held == '1');
  }
  if (!line.at_end()) program.branch_scale_in_training = real(line.field("branch_scale"));
  line.finish();
  return program;
}

Lane parse_lane(Line line) {
  const LaneKind kind = named(line.word("a lane"), "a lane", LaneKind::tensor);
  const Lane lane{kind, id<StageId>(line.field("stage"))};
  line.finish();
  return lane;
}

ParameterClass parse_class(Line line, std::string_view keyword) {
  ParameterClass held;
  held.elements = integer(line.field("elements"));
  const Word group = line.field("group");
  if (group.text != "-") held.group = static_cast<std::size_t>(integer(group));
  held.holders = integer(line.field("holders"));
  held.sharding = named(line.field("sharding"), "a sharding", Sharding::parameters);
  for (const Word& end : items(line.field("buckets")))
    held.buckets.push_back(integer(end));
  held.parameters = ids<ParameterId>(line.field("parameters"));
  held.is_held = keyword == "class";
  const bool has_readers = keyword == "read_class" || (held.is_held && !line.at_end());
  if (has_readers) held.readers = static_cast<std::size_t>(integer(line.field("readers")));
  line.finish();
  return held;
}

Buffer parse_buffer(Line line) {
  Buffer buffer;
  buffer.kind = named(line.field("kind"), "a buffer kind", BufferKind::communication);
  buffer.size = Bytes::bytes(integer(line.field("bytes")));
  const bool of_value = buffer.kind == BufferKind::value || buffer.kind == BufferKind::gradient;
  if (of_value) buffer.value = id<ValueId>(line.field("value"));
  if (is_persistent(buffer.kind) || holds_range(buffer.kind))
    buffer.parameter_class = id<ParameterClassId>(line.field("class"));
  if (holds_range(buffer.kind)) {
    const auto [begin, end] = elements(line);
    buffer.begin = begin;
    buffer.end = end;
  }
  line.finish();
  return buffer;
}

Op parse_op(Line line) {
  Op op;
  op.kind = named(line.word("an op kind"), "an op kind", kLastOpKind);
  op.lane = id<LaneId>(line.field("lane"));
  op.after = ids<OpId>(line.field("after"));
  op.detail = detail(op.kind, line);
  for (const Word& item : items(line.field("uses")))
    op.operands.push_back(operand(item));
  line.finish();
  return op;
}

RankBinding parse_rank(Line line) {
  RankBinding rank;
  rank.program = id<RankClassId>(line.field("program"));
  rank.peers = ids<RankId>(line.field("peers"));
  rank.groups = ids<GroupId>(line.field("groups"));
  rank.first_micro_batch = integer(line.field("first_micro_batch"));
  rank.slice = integer(line.field("slice"));
  line.finish();
  return rank;
}

}  // namespace rehearse::plan_text
