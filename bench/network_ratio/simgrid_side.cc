#include <simgrid/s4u.hpp>

#include "bench/network_ratio/workload.h"

namespace rehearse::bench {
namespace {

namespace s4u = simgrid::s4u;

// Plain max-min sharing: without what its models of TCP add.
constexpr const char* kOptions[] = {"network_ratio",
                                    "--cfg=network/model:CM02",
                                    "--cfg=network/TCP-gamma:1e20",
                                    "--cfg=network/crosstraffic:0",
                                    "--cfg=network/weight-S:0",
                                    "--cfg=network/bandwidth-factor:1",
                                    "--cfg=network/latency-factor:1",
                                    "--log=root.thresh:critical"};

std::vector<s4u::Host*> star_of(std::size_t hosts) {
  s4u::NetZone* zone = s4u::create_star_zone("star");
  std::vector<s4u::Host*> made;
  for (std::size_t i = 0; i < hosts; ++i) {
    const std::string number = std::to_string(i);
    made.push_back(zone->create_host("host" + number, 1e9));
    const s4u::SplitDuplexLink* link = zone->create_split_duplex_link("link" + number, kBandwidth);
    zone->add_route(made.back()->get_netpoint(), nullptr, nullptr, nullptr,
                    {{link, s4u::LinkInRoute::Direction::UP}}, true);
  }
  zone->seal();
  return made;
}

std::vector<s4u::Host*> fat_tree_of(std::size_t hosts, const Platform::FatTree& shape) {
  std::vector<s4u::Host*> made(hosts);
  const auto per_leaf = static_cast<unsigned>(shape.hosts_per_leaf);
  const auto leaves = static_cast<unsigned>(hosts) / per_leaf;
  const auto uplinks = static_cast<unsigned>(shape.uplinks);
  const auto add = [&](s4u::NetZone* zone, const std::vector<unsigned long>&, unsigned long id) {
    made[id] = zone->create_host("host" + std::to_string(id), 1e9);
    made[id]->seal();
    return std::pair<simgrid::kernel::routing::NetPoint*, simgrid::kernel::routing::NetPoint*>(
        made[id]->get_netpoint(), nullptr);
  };
  s4u::create_fatTree_zone("tree", nullptr, {2, {per_leaf, leaves}, {1, uplinks}, {1, 1}},
                           s4u::ClusterCallbacks(add), kBandwidth, 0,
                           s4u::Link::SharingPolicy::SPLITDUPLEX)
      ->seal();
  return made;
}

Finishes of_messages(const Case& of, const std::vector<s4u::Host*>& hosts, s4u::Engine& engine) {
  Finishes finishes;
  s4u::Actor::create("all", hosts[0], [&] {
    std::vector<s4u::CommPtr> messages;
    for (const Message& message : of.messages) {
      messages.push_back(s4u::Comm::sendto_async(hosts[message.from], hosts[message.to],
                                                 static_cast<std::uint64_t>(message.bytes)));
    }
    s4u::Comm::wait_all(messages);
    for (const s4u::CommPtr& message : messages)
      finishes.push_back(message->get_finish_time());
  });
  engine.run();
  return finishes;
}

Finishes of_ring(const Case& of, const std::vector<s4u::Host*>& hosts, s4u::Engine& engine) {
  Finishes finishes(of.ring.size());
  const auto bytes = static_cast<std::uint64_t>(chunk_bytes(of));
  for (std::size_t i = 0; i < of.ring.size(); ++i) {
    s4u::Actor::create("member", hosts[of.ring[i]], [&of, &finishes, bytes, i] {
      static int token;
      const auto name = [&](std::size_t member) { return std::to_string(member % of.ring.size()); };
      s4u::Mailbox* own = s4u::Mailbox::by_name(name(i));
      s4u::Mailbox* next = s4u::Mailbox::by_name(name(i + 1));
      for (std::size_t step = 0; step < 2 * (of.ring.size() - 1); ++step) {
        int* received = nullptr;
        const s4u::CommPtr send = next->put_async(&token, bytes);
        const s4u::CommPtr receive = own->get_async<int>(&received);
        send->wait();
        receive->wait();
      }
      finishes[i] = s4u::Engine::get_clock();
    });
  }
  engine.run();
  return finishes;
}

}  // namespace

Finishes simgrid_finishes(const Case& of) {
  std::vector<std::string> words(std::begin(kOptions), std::end(kOptions));
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  s4u::Engine engine(&count, arguments.data());
  const std::vector<s4u::Host*> hosts = of.platform.fat_tree
                                            ? fat_tree_of(of.platform.hosts, *of.platform.fat_tree)
                                            : star_of(of.platform.hosts);
  return of.ring.empty() ? of_messages(of, hosts, engine) : of_ring(of, hosts, engine);
}

}  // namespace rehearse::bench
