#include "tests/plan/symbolic/passes.h"

namespace rehearse::testing::symbolic {
namespace {

// One pass: its operands are its inputs, in one order, and all that it makes follows from these.
class PassRun {
 public:
  explicit PassRun(RunningOp& running)
      : running_(running),
        rank_(running.rank()),
        compute_(compute_of(running.op())),
        work_(rank_.lowerings[running.id().index()]),
        kind_(pass_of(rank_.program, running.op())),
        makes_(kind_ == Pass::forward || kind_ == Pass::split_forward) {}

  void run() {
    name_function();
    read();
    write();
  }

 private:
  // Segments whose layers are dropped are no part of it.
  void name_function() {
    for (std::size_t seg = compute_.begin.index(); seg < compute_.end.index(); ++seg) {
      for (const LayerId layer : rank_.net.segments[seg].layers)
        inputs_.push_back(layer.index());
    }
  }

  void read() {
    for (const ValueId v : work_.reads_values)
      take(running_.find_value(Access::read, BufferKind::value, v));
    for (const ValueId v : work_.reads_gradients)
      take(running_.find_value(Access::read, BufferKind::gradient, v));
    for (const ParameterId p : parameters_read(rank_.net, work_))
      read_weights(p);
    if (makes_) return;
    if (kind_ != Pass::backward_weight) take_slab(BufferKind::saved, work_.saved);
    take_slab(BufferKind::kept, work_.kept);
    if (kind_ == Pass::backward_weight) take_slab(BufferKind::deferred, work_.deferred);
  }

  void take(BufferId b) {
    running_.touch_all(b, false);
    inputs_.push_back(running_.read(b));
  }
  void take_slab(BufferKind of, Bytes size) {
    if (size > Bytes{}) take(running_.find_slab(Access::read, of, size));
  }

  void read_weights(ParameterId p) {
    const Place& place = rank_.places.at(p);
    const ParameterClassId c = place.parameter_class;
    const bool gathered = rank_.class_at(c).sharding == Sharding::parameters;
    const BufferId b = gathered ? running_.find_range(Access::read, BufferKind::gathered, c,
                                                      place.begin, place.end)
                                : running_.find_class(Access::read, BufferKind::parameters, c);
    const std::int64_t shift = gathered ? rank_.buffer(b).begin : 0;
    running_.touch(b, place.begin - shift, place.end - shift, false);
    for (std::int64_t e = place.begin; e < place.end; ++e)
      inputs_.push_back(running_.read(b, e - shift));
  }

  void write() {
    const Word all = hash(inputs_);
    // A forward pass and its recomputation are one function.
    const Word variant =
        makes_ ? 0 : static_cast<Word>(is_whole_backward() ? Pass::backward : kind_);
    for (const ValueId v : work_.writes_values)
      put(running_.find_value(Access::write, BufferKind::value, v),
          hash({term_out, all, v.index()}));
    for (const ValueId v : work_.writes_gradients)
      put(running_.find_value(Access::write, BufferKind::gradient, v),
          hash({term_gradient, all, v.index(), variant}));
    if (makes_) put_slab(BufferKind::saved, work_.saved, all);
    if (makes_) put_slab(BufferKind::kept, work_.kept, all);
    if (kind_ == Pass::backward_input) put_slab(BufferKind::deferred, work_.deferred, all);
    put_slab(BufferKind::scratch, work_.scratch, all);
    for (const ParameterId p : parameters_differentiated(rank_.net, work_))
      add_gradients(p, hash({term_weight_gradient, all, p.index(), variant}));
  }

  // Where the other half of the backward has nothing to do, a half is the whole.
  bool is_whole_backward() const {
    return (kind_ == Pass::backward_input && !has_work(Pass::backward_weight)) ||
           (kind_ == Pass::backward_weight && !has_work(Pass::backward_input));
  }
  bool has_work(Pass pass) const {
    const Plan& plan = rank_.plan;
    return !lower(rank_.net, compute_.begin, compute_.end, pass, plan.micro_batch_samples,
                  element_sizes(plan.training))
                .steps.empty();
  }

  void put(BufferId b, Word content) {
    running_.touch_all(b, true);
    running_.write_at_end(b, 0, content);
  }
  void put_slab(BufferKind of, Bytes size, Word all) {
    if (size == Bytes{}) return;
    put(running_.find_slab(Access::write, of, size),
        hash({term_slab, all, static_cast<Word>(of), static_cast<Word>(kind_)}));
  }

  // What is reduced micro-batch by micro-batch is written by the first who adds to it.
  void add_gradients(ParameterId p, Word term) {
    const Place& place = rank_.places.at(p);
    const ParameterClassId c = place.parameter_class;
    const bool apart =
        !adds_to_flat(rank_.plan.training, rank_.program, rank_.class_at(c), compute_.micro_batch);
    const BufferId b =
        apart ? running_.find_range(Access::write, BufferKind::unreduced, c, place.begin, place.end)
              : running_.find_class(Access::update, BufferKind::gradients, c);
    for (const Operand& operand : running_.op().operands) {
      if (operand.buffer == b && operand.access == Access::write) running_.begin_sums(b);
    }
    const std::int64_t shift = apart ? rank_.buffer(b).begin : 0;
    running_.touch(b, place.begin - shift, place.end - shift, true);
    for (std::int64_t e = place.begin; e < place.end; ++e)
      running_.add_at_end(b, e - shift, hash({term, static_cast<Word>(e - place.begin)}));
  }

  RunningOp& running_;
  const RankFacts& rank_;
  const Compute& compute_;
  const Lowering& work_;
  const Pass kind_;
  const bool makes_;  // values; otherwise gradients
  std::vector<Word> inputs_;
};

}  // namespace

void load_batch(RunningOp& running, std::int64_t sample, int period) {
  const RankFacts& rank = running.rank();
  for (const Operand& operand : running.op().operands) {
    const Buffer& it = rank.buffer(operand.buffer);
    if (it.kind != BufferKind::value || rank.net.values[it.value->index()].producer ||
        operand.access == Access::read)
      running.fail("it loads what is no data");
    running.find_value(Access::write, BufferKind::value, *it.value);
    running.touch_all(operand.buffer, true);
    running.write_at_end(
        operand.buffer, 0,
        hash({term_data, static_cast<Word>(sample), it.value->index(), static_cast<Word>(period)}));
  }
}

void run_pass(RunningOp& running) {
  PassRun(running).run();
}

}  // namespace rehearse::testing::symbolic
