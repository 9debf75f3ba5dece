// Keys of the machines, but for the network between nodes.
#include "model/cluster/cluster.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/names.h"

namespace rehearse::yaml {
namespace {

Section cluster() {
  return {
      "cluster",
      "The machines: nodes with devices, and what joins them.",
      {
          needed("device", basic(Form::text),
                 "profile of all devices: a name in scenarios/devices, or a path relative to the "
                 "scenario",
                 "h100-sxm-80gb"),
          optional("nodes", count(), "1", "how many there are", "4"),
          optional("devices_per_node", count(), "1",
                   "how many each has; rank r is device r mod this of node r / this", "8"),
          optional("network", map_of("network"), "{kind: none}", "what is between the nodes",
                   "{kind: crossbar, link: {bandwidth: 100 Gb/s, latency: 5 us}}"),
          optional("interconnect", map_of("interconnect"), "", "what is between devices of a node",
                   "{bandwidth: 450 GB/s, latency: 2 us}"),
          optional("nics", map_of("nics"), "",
                   "network adapters of each node; by default the network joins the nodes",
                   "{count: 8, bus: {bandwidth: 64 GB/s, latency: 1 us}}"),
          optional("links", list_of(map_of("link_exception")), "[]", "links that are different",
                   "[{link: node0--leaf0, bandwidth: 10 Gb/s}]"),
          optional("ranks", list_of(map_of("rank_exception")), "[]", "ranks that are different",
                   "[{ranks: 4-7, speed: 0.8}]"),
          optional("kernels", map_of("kernels"), "",
                   "rates of kernels, in place of what the profile says: other software ran",
                   "{attention: {compute: 73 TFLOP/s, provenance: published}}"),
          optional("overheads", map_of("overheads"), "",
                   "memory beside tensors, in place of what the profile says",
                   "{context: 600 MiB, fragmentation: 0.03}"),
          optional("transport", one_of("transport", names_of(kCarriers)), "host",
                   "what messages go over; with nccl its communicators take memory", "nccl"),
          optional("jitter", map_of("jitter"), "", "computing that varies by chance",
                   "{op: 0.05, step: 0.02}"),
      },
  };
}

Section interconnect() {
  return {
      "interconnect",
      "What is between the devices of a node.",
      {
          needed("bandwidth", basic(Form::bandwidth), "of one port, in one direction", "450 GB/s"),
          needed("latency", basic(Form::seconds), "of a message", "2 us"),
          optional("efficiency", efficiency_type(), "[]",
                   "share of the bandwidth by size of message", "[[64 KiB, 0.3], [16 MiB, 1]]"),
          optional("reduction", number({0, 1, true}), "1",
                   "share of its rate at which the switch adds in-network reductions (NVLS)",
                   "0.85"),
          optional("kind", one_of("interconnect kind", names_of(kInterconnectKinds)), "switch",
                   "a switch, a link between every two devices, or a ring", "mesh"),
          optional("ports", count(), "", "of each device; by default one for each link", "12"),
      },
  };
}

Section nics() {
  return {
      "nics",
      "Network adapters of each node: device d of D has adapter floor(d count / D).",
      {
          needed("count", count(), "adapters of a node, at most its devices", "4"),
          needed("bus", map_of("link"), "between a device and its adapter",
                 "{bandwidth: 64 GB/s, latency: 1 us}"),
      },
  };
}

Section link_exception() {
  return {
      "link_exception",
      "A link that differs from what the network says; what is not given stays.",
      {
          needed("link", basic(Form::text), "one direction, a->b, or both, a--b", "node0--leaf0"),
          optional("bandwidth", basic(Form::bandwidth), "", "of one direction", "10 Gb/s"),
          optional("latency", basic(Form::seconds), "", "of a message", "20 us"),
          optional("efficiency", efficiency_type(), "", "share of the bandwidth by size of message",
                   "[[64 KiB, 0.3], [16 MiB, 1]]"),
      },
  };
}

Section rank_exception() {
  const Type rank = count({0, kMostDevices - 1});
  const Type ranks = either({rank, written("ranks such as 4-7", "[0-9]+-[0-9]+")});
  return {
      "rank_exception",
      "Ranks with another device, or of another speed.",
      {
          needed("ranks", either({rank, ranks.of.back(), list_of(ranks)}),
                 "a rank, a range of them, or a list of both", "4-7"),
          optional("device", basic(Form::text), "", "their profile", "v100-sxm2-32gb"),
          optional("speed", number({0.001, 1000}), "",
                   "0.8: everything takes 1 / 0.8 times as long", "0.8"),
      },
  };
}

Section kernels() {
  Section section{
      "kernels",
      "Rates of kernels on the cluster's device, in place of what its profile says; not of a "
      "device that --profile puts there, but of each that a sweep does.",
      {},
  };
  for (int k = 0; k < kKernelClassCount; ++k) {
    section.keys.push_back(optional(to_string(static_cast<KernelClass>(k)), map_of("kernel_rate"),
                                    "", "of kernels of this class",
                                    "{compute: 73 TFLOP/s, provenance: published}"));
  }
  return section;
}

Section kernel_rate() {
  return {
      "kernel_rate",
      "What kernels of a class reach in the profile's data type; what is not given stays.",
      {
          optional("compute", basic(Form::flop_rate), "", "of what they compute", "73 TFLOP/s"),
          optional("memory", basic(Form::bandwidth), "", "of what they read and write",
                   "1800 GB/s"),
          optional("overhead", basic(Form::seconds), "", "of each kernel", "2 us"),
          needed("provenance", one_of("provenance", names_of(kProvenances)),
                 "where these numbers come from", "published"),
      },
  };
}

Section overheads() {
  return {
      "overheads",
      "Memory beside tensors, in place of what the profile says; 0 leaves one out.",
      {
          optional("workspace", basic(Form::bytes), "", "of the libraries", "1 GiB"),
          optional("context", basic(Form::bytes), "", "of a process before any tensor", "600 MiB"),
          optional("communicator", basic(Form::bytes), "", "of each of NCCL's", "48 MiB"),
          optional("fragmentation", number({0, 1}), "",
                   "share of the tensors' arena that the allocator loses besides", "0.03"),
      },
  };
}

Section jitter() {
  constexpr std::int64_t kMostSteps = 1'000'000, kLargestSeed = 1'000'000'000;
  return {
      "jitter",
      "Computing that varies by chance, by factors of mean 1.",
      {
          optional("op", number({0, 1}), "0", "standard deviation of each op's factor", "0.05"),
          optional("step", number({0, 1}), "0", "of the factor of each step of a rank", "0.02"),
          optional("seed", count({0, kLargestSeed}), "1", "of the draws", "1"),
          optional("steps", count({1, kMostSteps}), "100", "steps that are played", "100"),
      },
  };
}

}  // namespace

Type efficiency_type() {
  return list_of(list_of(either({basic(Form::bytes), number({0, 1, true})}), 2, 2));
}

std::vector<Section> cluster_sections() {
  return {cluster(), interconnect(), nics(),      link_exception(), rank_exception(),
          kernels(), kernel_rate(),  overheads(), jitter()};
}

}  // namespace rehearse::yaml
