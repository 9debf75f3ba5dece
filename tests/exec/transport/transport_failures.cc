#include "tests/exec/transport/transport_failures.h"

#include "exec/message_transport.h"

namespace rehearse::exec {
namespace {

constexpr RankId kFirst{0}, kSecond{1};

// Rank 0 sends, rank 1 receives, under tag 7; then both wait for something that never comes.
void send_and_receive(Transport& t, std::size_t sent, std::size_t expected) {
  const bool sends = t.rank() == kFirst;
  std::vector<std::byte> bytes(sends ? sent : expected);
  std::vector<std::byte> nothing(1);
  const RankId peer = sends ? kSecond : kFirst;
  const Request requests[] = {sends ? t.send(peer, 7, bytes) : t.receive(peer, 7, bytes),
                              t.receive(peer, 8, nothing)};
  wait_all(t, requests);
}

void receive_is_shorter(Transport& t) {
  send_and_receive(t, 16, 8);
}
void receive_is_longer(Transport& t) {
  send_and_receive(t, 8, 16);
}
// Long messages take another way through MPI (rendezvous).
void long_receive_is_shorter(Transport& t) {
  send_and_receive(t, 1 << 20, 1 << 19);
}
void long_receive_is_longer(Transport& t) {
  send_and_receive(t, 1 << 19, 1 << 20);
}

void aborts_while_another_waits(Transport& t) {
  if (t.rank() == kSecond) t.abort("rank 1: no space left on device");
  t.barrier();
}

void throws_while_another_waits(Transport& t) {
  std::vector<std::byte> bytes(1 << 20);
  const Request request = t.rank() == kFirst ? t.send(kSecond, 1, bytes) : Request{};
  if (t.rank() == kSecond) throw std::runtime_error("rank 1: it did not work out");
  wait_all(t, {&request, 1});
}

}  // namespace

const std::vector<FailureCase>& transport_failures() {
  static const std::vector<FailureCase> cases = {
      {"aborts_while_another_waits", aborts_while_another_waits, "rank 1: no space left on device"},
      {"long_receive_is_longer", long_receive_is_longer,
       "rank 1: receive from rank 0, tag 7: expected 1048576 bytes, got 524288"},
      {"long_receive_is_shorter", long_receive_is_shorter,
       "rank 1: receive from rank 0, tag 7: expected 524288 bytes, got 1048576"},
      {"receive_is_longer", receive_is_longer,
       "rank 1: receive from rank 0, tag 7: expected 16 bytes, got 8"},
      {"receive_is_shorter", receive_is_shorter,
       "rank 1: receive from rank 0, tag 7: expected 8 bytes, got 16"},
      {"throws_while_another_waits", throws_while_another_waits, "rank 1: it did not work out"},
  };
  return cases;
}

}  // namespace rehearse::exec
