// What tensor-parallel ranks exchange around their passes (model/net/tensor.h): sums of which each
// has a term, and rows that each has its share of.
#pragma once

#include <set>
#include <vector>

#include "model/schedule/rank_program/value_buffers.h"

namespace rehearse {

class TensorExchanges {
 public:
  TensorExchanges(const RankInputs& inputs, Parts& parts, ValueBuffers& values, RankDraft& draft)
      : inputs_(inputs), parts_(parts), values_(values), draft_(draft) {}

  // Of what a stage has sent a share of to every rank: in place.
  void gather_shares(BufferId buffer, ValueId value) {
    exchange(OpKind::all_gather, {{buffer, Access::update}}, value);
  }
  // Of a step whose part consists of an exchange: the step itself.
  void exchange_rows(const Step& step);
  // Terms of a sum are summed before anybody reads it.
  void after_forward(const Step& step);
  // Terms of gradients that this pass reads are summed; rows that it needs again are gathered.
  void before_backward(const Step& step);

 private:
  void sum_gradients_for(const Step& step);
  void gather_again(ValueId value, const Step& step);
  void exchange(OpKind kind, std::vector<Use> uses, ValueId whole);
  std::int64_t element_bytes(ValueId value) const;

  const RankInputs& inputs_;
  Parts& parts_;
  ValueBuffers& values_;
  RankDraft& draft_;
  std::set<ValueBuffers::Copy> gathered_again_;
};

}  // namespace rehearse
