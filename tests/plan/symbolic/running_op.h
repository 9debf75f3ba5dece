// An op while it runs: it reads when it begins and writes when it ends, and nobody else may touch
// what it works on between these.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "tests/plan/symbolic/memory.h"

namespace rehearse::testing::symbolic {

class RunningOp {
 public:
  // rank and memory must outlive it.
  RunningOp(const RankFacts& rank, RankMemory& memory, OpId id);

  const Op& op() const { return op_; }
  OpId id() const { return id_; }
  const RankFacts& rank() const { return rank_; }
  const Plan& plan() const { return rank_.plan; }
  [[noreturn]] void fail(const std::string& what) const { rank_.fail(id_, what); }

  // Allocates what the op does; all operands must be there then.
  void begin();
  // Writes what is to be written, and frees what the op does.
  void end();

  // The operand that it finds what it needs in; declared at least as what is done to it.
  BufferId find(Access access, BufferKind kind,
                const std::function<bool(const Buffer&)>& fits = {}) const;
  // The same, where it must be large enough for ...
  BufferId find_value(Access access, BufferKind kind, ValueId value) const;
  BufferId find_slab(Access access, BufferKind kind, Bytes size) const;
  BufferId find_class(Access access, BufferKind kind, ParameterClassId c) const;
  BufferId find_range(Access access, BufferKind kind, ParameterClassId c, std::int64_t begin,
                      std::int64_t end) const;
  BufferId find_squares(Access access) const;
  // Whether a buffer of state is large enough.
  void check_room(BufferId b) const;

  void touch(BufferId b, std::int64_t begin, std::int64_t end, bool writes);
  void touch_all(BufferId b, bool writes) { touch(b, 0, memory_.size(b), writes); }
  // A buffer that both touch, one of them to write.
  std::optional<BufferId> clash(const RunningOp& other) const;

  Word read(BufferId b, std::int64_t element = 0) const { return memory_.read(id_, b, element); }
  void write(BufferId b, std::int64_t element, Word content) { memory_.write(b, element, content); }
  void write_at_end(BufferId b, std::int64_t element, Word content);
  // To what is there then.
  void add_at_end(BufferId b, std::int64_t element, Word term);
  void begin_sums(BufferId b) { memory_.begin_sums(b); }

 private:
  struct Touch {
    BufferId buffer;
    std::int64_t begin = 0, end = 0;
    bool writes = false;
  };
  struct Write {
    BufferId buffer;
    std::int64_t element = 0;
    Word content = 0;
    bool adds = false;
  };

  void check_size(BufferId b, Bytes needed) const;

  const RankFacts& rank_;
  RankMemory& memory_;
  const OpId id_;
  const Op& op_;
  std::vector<Touch> touches_;
  std::vector<Write> writes_;
};

}  // namespace rehearse::testing::symbolic
