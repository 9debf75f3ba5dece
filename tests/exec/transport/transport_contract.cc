#include "tests/exec/transport/transport_contract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "exec/message_transport.h"

namespace rehearse::exec {
namespace {

using Data = std::vector<std::byte>;

// Bytes that tell who sent what: different in every place for different keys below 251 (a prime, so
// that no power of two is a period).
Data pattern(std::size_t length, std::size_t key) {
  Data bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::byte>((i + i / 251 + key) % 251);
  }
  return bytes;
}

RankId after(const Transport& t) {
  return RankId{(t.rank().index() + 1) % t.size()};
}
RankId before(const Transport& t) {
  return RankId{(t.rank().index() + t.size() - 1) % t.size()};
}

void ranks_are_numbered(Transport& t) {
  EXPECT_LT(t.rank().index(), t.size());
  const std::vector<std::string> names = t.gather(std::to_string(t.rank().index()));
  for (std::size_t r = 0; r < names.size(); ++r)
    EXPECT_EQ(names[r], std::to_string(r));
}

// Everybody to everybody, itself included, all at once.
void all_pairs_exchange(Transport& t) {
  const std::size_t n = t.size(), me = t.rank().index();
  std::vector<Data> out, in(n);
  std::vector<Request> requests;
  for (std::size_t r = 0; r < n; ++r)
    out.push_back(pattern(100 + r, me * n + r));
  for (std::size_t r = 0; r < n; ++r) {
    in[r].resize(100 + me);
    requests.push_back(t.send(RankId{r}, 5, out[r]));
    requests.push_back(t.receive(RankId{r}, 5, in[r]));
  }
  wait_all(t, requests);
  for (std::size_t r = 0; r < n; ++r)
    EXPECT_EQ(in[r], pattern(100 + me, r * n + me));
}

void messages_to_oneself(Transport& t) {
  const Data out = pattern(1 << 20, t.rank().index());
  Data in(out.size());
  const Request receive = t.receive(t.rank(), 1, in);
  const Request send = t.send(t.rank(), 1, out);
  const Request requests[] = {receive, send};
  wait_all(t, requests);
  EXPECT_EQ(in, out);
}

// Receives are asked about in the wrong order, which must not matter.
void equal_tags_keep_their_order(Transport& t) {
  constexpr std::size_t kMessages = 60;
  std::vector<Data> out, in;
  std::vector<Request> sends, receives;
  for (std::size_t i = 0; i < kMessages; ++i) {
    out.push_back(pattern(64, i));
    in.emplace_back(64);
  }
  for (const Data& bytes : out)
    sends.push_back(t.send(after(t), 3, bytes));
  for (Data& bytes : in)
    receives.push_back(t.receive(before(t), 3, bytes));
  std::reverse(receives.begin(), receives.end());
  receives.insert(receives.end(), sends.begin(), sends.end());
  wait_all(t, receives);
  EXPECT_EQ(in, out);
}

// Posted in opposite orders on both sides; lengths on both sides of any limit for eager messages.
void tags_match_in_any_order(Transport& t) {
  constexpr std::size_t kTags = 80;
  std::vector<Data> out, in(kTags);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < kTags; ++i)
    out.push_back(pattern(i * i * 10, i));
  for (std::size_t i = 0; i < kTags; ++i) {
    requests.push_back(t.send(after(t), static_cast<std::int64_t>(i), out[i]));
  }
  for (std::size_t i = kTags; i-- > 0;) {
    in[i].resize(out[i].size());
    requests.push_back(t.receive(before(t), static_cast<std::int64_t>(i), in[i]));
  }
  wait_all(t, requests);
  EXPECT_EQ(in, out);
}

void empty_messages_arrive(Transport& t) {
  Data in(1);
  const Data out = pattern(1, 9);
  const Request requests[] = {t.send(after(t), 2, {}), t.send(after(t), 2, out),
                              t.receive(before(t), 2, {}), t.receive(before(t), 2, in)};
  wait_all(t, requests);
  EXPECT_EQ(in, out);
}

// 8 MiB in both directions of every neighbourhood at the same time.
void long_messages_pass_each_other(Transport& t) {
  constexpr std::size_t kLength = std::size_t{8} << 20;
  const std::size_t me = t.rank().index();
  const Data out = pattern(kLength, me);
  Data from_before(kLength), from_after(kLength);
  const Request requests[] = {t.send(after(t), 1, out), t.send(before(t), 2, out),
                              t.receive(before(t), 1, from_before),
                              t.receive(after(t), 2, from_after)};
  wait_all(t, requests);
  EXPECT_EQ(from_before, pattern(kLength, before(t).index()));
  EXPECT_EQ(from_after, pattern(kLength, after(t).index()));
}

// A receive that is posted late finds its message, and one that is posted early does not disturb
// the collective calls in between.
void collective_calls_pass_messages_under_way(Transport& t) {
  const Data out = pattern(1000, t.rank().index());
  Data early(1000), late(1000);
  std::vector<Request> requests = {t.receive(before(t), 1, early), t.send(after(t), 2, out)};
  t.barrier();
  EXPECT_EQ(t.broadcast("go", RankId{0}), "go");
  requests.push_back(t.send(after(t), 1, out));
  requests.push_back(t.receive(before(t), 2, late));
  wait_all(t, requests);
  const Data expected = pattern(1000, before(t).index());
  EXPECT_EQ(early, expected);
  EXPECT_EQ(late, expected);
}

// Nobody leaves before the last has come: all ranks are on one machine, whose steady clock they
// share. Each is late in turn.
void barrier_waits_for_the_last(Transport& t) {
  for (std::size_t late = 0; late < t.size(); ++late) {
    if (t.rank().index() == late) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const auto now = [] {
      return std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    };
    const std::string came = now();
    t.barrier();
    const std::vector<std::string> left = t.gather(now());
    const std::vector<std::string> arrivals = t.gather(came);
    for (const std::string& arrival : arrivals) {
      for (const std::string& leaving : left)
        EXPECT_LE(std::stoll(arrival), std::stoll(leaving));
    }
  }
}

// Rank r gives r * 50,000 letters: none, and more than any eager limit.
void gather_brings_texts_in_order(Transport& t) {
  const auto text_of = [](std::size_t r) {
    return std::string(r * 50'000, static_cast<char>('a' + r % 26));
  };
  const std::vector<std::string> texts = t.gather(text_of(t.rank().index()));
  if (t.rank() != RankId{0}) {
    EXPECT_TRUE(texts.empty());
    return;
  }
  ASSERT_EQ(texts.size(), t.size());
  for (std::size_t r = 0; r < texts.size(); ++r)
    EXPECT_EQ(texts[r], text_of(r));
}

void broadcast_reaches_all_from_any_root(Transport& t) {
  for (std::size_t root = 0; root < t.size(); ++root) {
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{3} << 20}) {
      const std::string text(length, static_cast<char>('a' + root % 26));
      const std::string given = t.rank().index() == root ? text : "not the root's";
      EXPECT_EQ(t.broadcast(given, RankId{root}), text);
    }
  }
}

// One token goes round while all others have nothing to do: with more ranks than cores this ends
// only if those who wait give their core away.
void idle_ranks_let_others_work(Transport& t) {
  const bool begins = t.rank() == RankId{0};
  for (int round = 0; round < 30; ++round) {
    int token = begins ? round : 0, arrived = 0;
    const auto send = [&] { return t.send(after(t), 4, std::as_bytes(std::span(&token, 1))); };
    std::vector<Request> waiting = {
        t.receive(before(t), 4, std::as_writable_bytes(std::span(&arrived, 1)))};
    if (begins) waiting.push_back(send());
    wait_all(t, waiting);
    EXPECT_EQ(arrived, round);
    if (begins) continue;
    token = arrived;
    const Request passed = send();
    wait_all(t, {&passed, 1});
  }
}

}  // namespace

const std::vector<ContractCase>& transport_contract() {
  static const std::vector<ContractCase> cases = {
      {"all_pairs_exchange", all_pairs_exchange},
      {"barrier_waits_for_the_last", barrier_waits_for_the_last},
      {"broadcast_reaches_all_from_any_root", broadcast_reaches_all_from_any_root},
      {"collective_calls_pass_messages_under_way", collective_calls_pass_messages_under_way},
      {"empty_messages_arrive", empty_messages_arrive},
      {"equal_tags_keep_their_order", equal_tags_keep_their_order},
      {"gather_brings_texts_in_order", gather_brings_texts_in_order},
      {"idle_ranks_let_others_work", idle_ranks_let_others_work},
      {"long_messages_pass_each_other", long_messages_pass_each_other},
      {"messages_to_oneself", messages_to_oneself},
      {"ranks_are_numbered", ranks_are_numbered},
      {"tags_match_in_any_order", tags_match_in_any_order},
  };
  return cases;
}

}  // namespace rehearse::exec
