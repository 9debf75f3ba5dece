#include "tests/plan/symbolic/messages.h"

namespace rehearse::testing::symbolic {
namespace {

// Whether it is one of as many equal parts of the value as there are slices, and not all of it.
bool moves_share(const RunningOp& running, ValueId value, Bytes bytes) {
  const Bytes whole = running.rank().size_of_value(value);
  if (bytes == whole) return false;
  if (bytes.bytes() * running.plan().mesh.tensor != whole.bytes())
    running.fail("it moves neither all bytes of its value nor a slice's share");
  return true;
}

}  // namespace

Messages::Key Messages::key(const RunningOp& running, int period) {
  const Transfer& transfer = transfer_of(running.op());
  const RankId self = running.rank().id, peer = running.rank().binding.peers[transfer.peer];
  if (running.op().kind == OpKind::send) return {self, peer, transfer.tag, period};
  return {peer, self, transfer.tag, period};
}

void Messages::begin(RunningOp& running, int period) {
  const bool sends = running.op().kind == OpKind::send;
  const Operand& operand = running.op().operands.front();
  if (operand.access == (sends ? Access::write : Access::read))
    running.fail("its buffer is not declared as used");
  const Buffer& buffer = running.rank().buffer(operand.buffer);
  const Bytes bytes = transfer_of(running.op()).bytes;
  if (buffer.size < bytes) running.fail("its buffer is too small");
  running.touch_all(operand.buffer, !sends);

  Message& message = messages_[key(running, period)];
  const auto what = std::make_pair(buffer.kind, buffer.value);
  const bool other_is_known = message.content || message.taken;
  if (other_is_known && (message.bytes != bytes || message.what != what))
    running.fail("the other end means another message");
  if (sends ? message.content.has_value() : message.taken) running.fail("its tag is taken");
  message.bytes = bytes;
  message.what = what;
  const bool is_share = moves_share(running, *buffer.value, bytes);
  if (!sends) {
    message.taken = true;
    return;
  }
  const Word content = running.read(operand.buffer);
  message.content = is_share ? shares_.share_of(content, running.rank().binding.slice) : content;
}

bool Messages::can_end(const RunningOp& running, int period) const {
  const Message& message = messages_.at(key(running, period));
  if (running.op().kind == OpKind::receive) return message.content.has_value();
  return eager_ || message.taken;
}

void Messages::end(RunningOp& running, int period) {
  if (running.op().kind != OpKind::receive) return;
  running.write(running.op().operands.front().buffer, 0,
                *messages_.at(key(running, period)).content);
}

}  // namespace rehearse::testing::symbolic
